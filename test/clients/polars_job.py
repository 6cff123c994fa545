"""Polars writes frames as Parquet and CSV, lists them by a pattern, reads them whole and in part. boto3 makes the bucket and deletes."""
import io
import os

# Its parts are of 64 MiB otherwise.
os.environ['POLARS_UPLOAD_CHUNK_SIZE'] = str(5 * 1024 * 1024)

import boto3
import polars

from checks import MIB, check, equal, run, same_bytes, sample

BUCKET = 'job'
ROWS = 4096
OPTIONS = {
    'aws_access_key_id': os.environ['AWS_ACCESS_KEY_ID'],
    'aws_secret_access_key': os.environ['AWS_SECRET_ACCESS_KEY'],
    'aws_region': 'us-east-1',
    'aws_endpoint_url': os.environ['AWS_ENDPOINT_URL_S3'],
    'aws_allow_http': 'true',
}


def frame(name, bytes_per_row):
    data = sample(name, ROWS * bytes_per_row)
    bodies = [data[at:at + bytes_per_row] for at in range(0, len(data), bytes_per_row)]
    return polars.DataFrame({'number': range(ROWS), 'body': bodies})


FRAMES = {
    'empty.parquet': polars.DataFrame({'number': []}),
    'small.parquet': polars.DataFrame({'number': [1, 2, 3]}),
    'odd/a b/é+%=&.parquet': frame('odd', 25),
    'big.parquet': frame('big', 5 * 1024 + 1),
}


def parquet_of(whole):
    body = io.BytesIO()
    whole.write_parquet(body)
    return body.getvalue()


def write(s3):
    s3.create_bucket(Bucket=BUCKET)
    for key, whole in FRAMES.items():
        whole.write_parquet(f's3://{BUCKET}/{key}', storage_options=OPTIONS)
        same_bytes(s3.get_object(Bucket=BUCKET, Key=key)['Body'].read(), parquet_of(whole), f'{key}: the file it writes to a disk')
    head = s3.head_object(Bucket=BUCKET, Key='big.parquet')
    check(head['ContentLength'] > 20 * MIB and int(head['ETag'].strip('"').split('-')[1]) > 1, 'the big one went up in parts')


def read(s3):
    for key, whole in FRAMES.items():
        check(polars.read_parquet(f's3://{BUCKET}/{key}', storage_options=OPTIONS).equals(whole), f'{key}: rows')


def ranges(s3):
    some = polars.scan_parquet(f's3://{BUCKET}/big.parquet', storage_options=OPTIONS).filter(polars.col('number') == 4000)
    equal(some.collect().rows(), [(4000, FRAMES['big.parquet']['body'][4000])], 'one row')
    numbers = polars.scan_parquet(f's3://{BUCKET}/big.parquet', storage_options=OPTIONS).select('number')
    equal(numbers.sum().collect().item(), ROWS * (ROWS - 1) // 2, 'one column')


def lists(s3):
    for number in range(7):
        rows = polars.LazyFrame({'shard': [number] * 100, 'text': ['é'] * 100})
        rows.sink_csv(f's3://{BUCKET}/shards/{number}.csv', storage_options=OPTIONS)
    every = polars.scan_csv(f's3://{BUCKET}/shards/*.csv', storage_options=OPTIONS)
    counts = every.group_by('shard').len().sort('shard').collect().rows()
    equal(counts, [(number, 100) for number in range(7)], 'rows of every file that a pattern names')
    some = polars.scan_csv(f's3://{BUCKET}/shards/[35].csv', storage_options=OPTIONS)
    equal(some.select(polars.col('shard').unique().sort()).collect().to_series().to_list(), [3, 5], 'and of two of them')


def delete(s3):
    keys = [*FRAMES, *(f'shards/{number}.csv' for number in range(7))]
    listed = [entry['Key'] for entry in s3.list_objects_v2(Bucket=BUCKET)['Contents']]
    equal(listed, sorted(keys, key=str.encode), 'every file, and nothing else')
    for key in keys:
        s3.delete_object(Bucket=BUCKET, Key=key)
    try:
        polars.scan_parquet(f's3://{BUCKET}/*.parquet', storage_options=OPTIONS).collect()
    except Exception as error:
        check('expanded paths were empty' in str(error), f'a pattern names nothing any more: {error}')
    else:
        check(False, 'a pattern names nothing any more')
    s3.delete_bucket(Bucket=BUCKET)


run([write, read, ranges, lists, delete], boto3.client('s3'))
