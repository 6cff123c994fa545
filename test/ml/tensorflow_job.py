"""TFRecords that are here, read through boto3 by tf.data pipelines: `tensorflow_job.py FOLDER`."""
import struct
import sys
from pathlib import Path

import boto3
import tensorflow as tf

from checks import equal, files_of, objects_of, run_steps, same_bytes
from tfrecords import compare_pipelines, write_shards

FOLDER = Path(sys.argv[1])
RECORDS, CACHE = FOLDER / 'records', FOLDER / 'cache'
BUCKET = 'tensorflow'

s3 = boto3.client('s3')


def upload():
    RECORDS.mkdir()
    s3.create_bucket(Bucket=BUCKET)
    for file in write_shards(RECORDS):
        s3.upload_file(file, BUCKET, f'train/{Path(file).name}')
    same_bytes(objects_of(s3, BUCKET, 'train/'), files_of(RECORDS), 'in the store')


def list_shards():
    pages = s3.get_paginator('list_objects_v2').paginate(Bucket=BUCKET, Prefix='train/')
    return [entry['Key'] for page in pages for entry in page.get('Contents', [])]


def stream_records(key):
    """The records of a shard, while it arrives. Each is its length (8 bytes), a CRC (4), its bytes, a CRC (4)."""
    body = s3.get_object(Bucket=BUCKET, Key=key.decode())['Body']
    while header := body.read(12):
        (length,) = struct.unpack('<Q4x', header)
        yield body.read(length + 4)[:length]


def open_stream(key):
    return tf.data.Dataset.from_generator(stream_records, args=[key], output_signature=tf.TensorSpec([], tf.string))


def streamed():
    records = interleaved(tf.data.Dataset.from_tensor_slices(list_shards()), open_stream)
    compare_pipelines(records, local_records(), 'streamed')


def download(key):
    """Brings a shard to the local disk, in parallel ranges."""
    file = CACHE / Path(key.decode()).name
    if not file.exists():
        s3.download_file(BUCKET, key.decode(), str(file))
    return str(file)


def cached():
    CACHE.mkdir()
    files = tf.data.Dataset.from_tensor_slices(list_shards()).map(lambda key: tf.numpy_function(download, [key], tf.string))
    compare_pipelines(interleaved(files, tf.data.TFRecordDataset), local_records(), 'downloaded')
    same_bytes(files_of(CACHE), files_of(RECORDS), 'downloaded shards')


def interleaved(shards, read):
    return shards.interleave(read, cycle_length=2, num_parallel_calls=2, deterministic=True)


def local_records():
    files = sorted(str(file) for file in RECORDS.iterdir())
    return interleaved(tf.data.Dataset.from_tensor_slices(files), tf.data.TFRecordDataset)


def one_record():
    """A record by its place in the shard, without the rest of it."""
    first = next(tf.data.TFRecordDataset(str(RECORDS / '00000.tfrecord')).as_numpy_iterator())
    got = s3.get_object(Bucket=BUCKET, Key='train/00000.tfrecord', Range=f'bytes=12-{12 + len(first) - 1}')
    equal(got['Body'].read(), first, 'one record by its range')


run_steps([upload, streamed, cached, one_record])
