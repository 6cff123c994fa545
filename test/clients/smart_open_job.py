"""smart_open does the job of job.py. It opens keys as files; buckets and deletions are boto3's."""
import boto3
from smart_open import open as open_uri, s3

from checks import MIB, check, etag_of_parts, md5, same_bytes
from job import BODIES, BUCKET, do_job

PART = 5 * MIB


class SmartOpen:
    def __init__(self):
        self.s3 = boto3.client('s3')

    def make_bucket(self, bucket):
        self.s3.create_bucket(Bucket=bucket)

    def write(self, bucket, key, body):
        with s3.open(bucket, key, 'wb', client=self.s3, min_part_size=PART) as file:
            file.write(body)

    def read(self, bucket, key):
        with s3.open(bucket, key, 'rb', client=self.s3) as file:
            return file.read()

    def read_range(self, bucket, key, first, end):
        with s3.open(bucket, key, 'rb', client=self.s3) as file:
            file.seek(first)
            return file.read(end - first)

    def keys(self, bucket, prefix):
        return {key: len(body) for key, body in s3.iter_bucket(bucket, prefix=prefix, workers=2)}

    def delete(self, bucket, key):
        self.s3.delete_object(Bucket=bucket, Key=key)

    def etag(self, body):
        return etag_of_parts(body, PART) if body else f'"{md5(body)}"'


def reads_by_uri(client, witness):
    """Its main way in: a URI, and seeks that drop one stream and open another."""
    with open_uri(f's3://{BUCKET}/big', 'rb', transport_params={'client': client.s3}) as file:
        for first in [15 * MIB, 3, 9 * MIB + 1]:
            file.seek(first)
            same_bytes(file.read(1000), BODIES['big'][first:first + 1000], f'1,000 bytes behind a seek to {first}')
    lines = [f'line {number}: é\n' for number in range(1000)]
    with open_uri(f's3://{BUCKET}/lines.txt.gz', 'w', encoding='utf-8') as file:
        file.writelines(lines)
    with open_uri(f's3://{BUCKET}/lines.txt.gz', encoding='utf-8') as file:
        check(list(file) == lines, 'compressed lines')
    client.delete(BUCKET, 'lines.txt.gz')


do_job(SmartOpen(), reads_by_uri)
