"""pyarrow's file system does the job of job.py, and keeps a partitioned dataset. It sends every file as an upload in parts."""
import os
from urllib.parse import urlsplit

import pyarrow
from pyarrow import dataset
from pyarrow.fs import FileSelector, FileType, S3FileSystem

from checks import MIB, check, equal, etag_of_parts
from job import BUCKET, FILES, do_job

PART = 10 * MIB


class Pyarrow:
    def __init__(self):
        endpoint = urlsplit(os.environ['AWS_ENDPOINT_URL_S3'])
        trust = {'tls_ca_file_path': os.environ['AWS_CA_BUNDLE']} if endpoint.scheme == 'https' else {}
        self.fs = S3FileSystem(
            endpoint_override=endpoint.netloc, scheme=endpoint.scheme, allow_bucket_creation=True, allow_bucket_deletion=True, **trust,
        )

    def make_bucket(self, bucket):
        self.fs.create_dir(bucket)

    def write(self, bucket, key, body):
        with self.fs.open_output_stream(f'{bucket}/{key}') as file:
            file.write(body)

    def read(self, bucket, key):
        with self.fs.open_input_stream(f'{bucket}/{key}') as file:
            return file.read()

    def read_range(self, bucket, key, first, end):
        with self.fs.open_input_file(f'{bucket}/{key}') as file:
            return file.read_at(end - first, first)

    def keys(self, bucket, prefix):
        found = self.fs.get_file_info(FileSelector(f'{bucket}/{prefix}', recursive=True))
        files = [info for info in found if info.type == FileType.File]
        return {info.path.removeprefix(f'{bucket}/'): info.size for info in files}

    def delete(self, bucket, key):
        self.fs.delete_file(f'{bucket}/{key}')

    def remove_bucket(self, bucket):
        self.fs.delete_dir(bucket)

    def etag(self, body):
        return etag_of_parts(body, PART)


def keeps_datasets(client, witness):
    count = 100_000
    table = pyarrow.table({'number': range(count), 'shard': [number % 4 for number in range(count)]})
    where = {'format': 'parquet', 'filesystem': client.fs, 'partitioning': dataset.partitioning(pyarrow.schema([('shard', pyarrow.int64())]), flavor='hive')}
    dataset.write_dataset(table, f'{BUCKET}/dataset', **where)
    read = dataset.dataset(f'{BUCKET}/dataset', **where)
    equal(sorted(path.split('/')[2] for path in read.files), [f'shard={shard}' for shard in range(4)], 'a file per partition')
    check(read.to_table(columns=['number', 'shard']).sort_by('number') == table, 'a dataset comes back')
    some = read.to_table(columns=['number'], filter=dataset.field('number') >= count - 8)
    equal(sorted(some['number'].to_pylist()), list(range(count - 8, count)), 'its last rows, by a filter')


def has_folders(client, witness):
    fs = client.fs
    fs.create_dir(f'{BUCKET}/folder/inner')
    equal([fs.get_file_info(f'{BUCKET}/{path}').type for path in ['folder', 'folder/inner', 'no', 'small']],
          [FileType.Directory, FileType.Directory, FileType.NotFound, FileType.File], 'what is what')
    fs.copy_file(f'{BUCKET}/small', f'{BUCKET}/folder/inner/copied')
    fs.move(f'{BUCKET}/folder/inner/copied', f'{BUCKET}/folder/moved')
    equal(client.keys(BUCKET, 'folder'), {'folder/moved': FILES['small']}, 'a file that was copied and moved')
    for folder in ['folder', 'dataset']:
        fs.delete_dir(f'{BUCKET}/{folder}')
    equal(client.keys(BUCKET, ''), FILES, 'delete_dir leaves what was there before')


do_job(Pyarrow(), keeps_datasets, has_folders)
