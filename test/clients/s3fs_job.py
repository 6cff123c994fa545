"""s3fs, the way of pandas, Dask and datasets to S3, does the job of job.py, and what a file system does beside it."""
import os
import sys

import s3fs

from checks import MIB, check, equal, etag_of, sample, same_bytes
from job import BODIES, BUCKET, FILES, ODD, do_job

PART = 5 * MIB


class S3fs:
    def __init__(self):
        # Nothing is remembered: each listing asks the store.
        self.fs = s3fs.S3FileSystem(default_block_size=PART, use_listings_cache=False)

    def make_bucket(self, bucket):
        self.fs.mkdir(bucket)

    def write(self, bucket, key, body):
        with self.fs.open(f'{bucket}/{key}', 'wb') as file:
            for at in range(0, len(body), MIB):
                file.write(body[at:at + MIB])

    def read(self, bucket, key):
        return self.fs.cat_file(f'{bucket}/{key}')

    def read_range(self, bucket, key, first, end):
        return self.fs.cat_file(f'{bucket}/{key}', start=first, end=end)

    def keys(self, bucket, prefix):
        found = self.fs.find(f'{bucket}/{prefix}', detail=True)
        return {path.removeprefix(f'{bucket}/'): entry['size'] for path, entry in found.items()}

    def delete(self, bucket, key):
        self.fs.rm_file(f'{bucket}/{key}')

    def remove_bucket(self, bucket):
        self.fs.rmdir(bucket)

    def etag(self, body):
        return etag_of(body, PART)


def walks(client, witness):
    fs = client.fs
    equal(sorted(fs.ls(BUCKET)), [f'{BUCKET}/{name}' for name in ['big', 'empty', 'odd', 'small']], 'ls names a folder once')
    equal((fs.isdir(f'{BUCKET}/odd'), fs.isfile(f'{BUCKET}/{ODD}'), fs.exists(f'{BUCKET}/no')), (True, True, False), 'what is what')
    equal(fs.glob(f'{BUCKET}/**/*.bin'), [f'{BUCKET}/{ODD}'], 'glob')
    equal(fs.info(f'{BUCKET}/big')['ETag'], client.etag(BODIES['big']), 'info shows the ETag')
    equal([len(fs.ls(BUCKET)), fs.du(BUCKET)], [4, sum(FILES.values())], 'du')
    with fs.open(f'{BUCKET}/big', 'rb') as file:
        file.seek(-1000, os.SEEK_END)
        same_bytes(file.read(), BODIES['big'][-1000:], 'the end of a file')


def carries_trees(client, witness):
    fs, scratch = client.fs, sys.argv[1]
    source, target = os.path.join(scratch, 'tree'), os.path.join(scratch, 'tree-back')
    bodies = {f'{number % 3}/ä {number}': sample(f'tree {number}', number * 1000) for number in range(12)}
    for name, body in bodies.items():
        os.makedirs(os.path.dirname(os.path.join(source, name)), exist_ok=True)
        with open(os.path.join(source, name), 'wb') as file:
            file.write(body)
    fs.put(source, f'{BUCKET}/tree', recursive=True)
    fs.copy(f'{BUCKET}/tree', f'{BUCKET}/copied', recursive=True)
    fs.mv(f'{BUCKET}/copied/0/ä 0', f'{BUCKET}/copied/moved')
    fs.mv(f'{BUCKET}/copied/moved', f'{BUCKET}/copied/0/ä 0')
    fs.get(f'{BUCKET}/copied', target, recursive=True)
    for name, body in bodies.items():
        with open(os.path.join(target, name), 'rb') as file:
            same_bytes(file.read(), body, f'{name} after put, copy and get')
    fs.rm([f'{BUCKET}/tree', f'{BUCKET}/copied'], recursive=True)
    equal(client.keys(BUCKET, ''), FILES, 'rm leaves what was there before')
    equal(sorted(os.listdir(target)), ['0', '1', '2'], 'what was moved away and back is nowhere else')
    try:
        fs.pipe_file(f'{BUCKET}/small', b'other', mode='create')
    except FileExistsError:
        check(True, 'mode=create refuses what exists')
    else:
        check(False, 'mode=create refuses what exists')


do_job(S3fs(), walks, carries_trees)
