"""boto3 does the job of job.py, with the checksums that the environment asks for."""
import io

import boto3

from checks import etag_of
from job import do_job


class Boto3:
    def __init__(self):
        self.s3 = boto3.client('s3')

    def make_bucket(self, bucket):
        self.s3.create_bucket(Bucket=bucket)

    def write(self, bucket, key, body):
        self.s3.upload_fileobj(io.BytesIO(body), bucket, key)

    def read(self, bucket, key):
        body = io.BytesIO()
        self.s3.download_fileobj(bucket, key, body)
        return body.getvalue()

    def read_range(self, bucket, key, first, end):
        return self.s3.get_object(Bucket=bucket, Key=key, Range=f'bytes={first}-{end - 1}')['Body'].read()

    def keys(self, bucket, prefix):
        listed = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get('Contents', [])
        return {entry['Key']: entry['Size'] for entry in listed}

    def keys_by_pages(self, bucket, count):
        pages = self.s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, PaginationConfig={'PageSize': count})
        return [[entry['Key'] for entry in page['Contents']] for page in pages]

    def delete(self, bucket, key):
        deleted = self.s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': key}]})
        assert deleted['Deleted'] == [{'Key': key}], deleted

    def remove_bucket(self, bucket):
        self.s3.delete_bucket(Bucket=bucket)

    def etag(self, body):
        return etag_of(body)


do_job(Boto3())
