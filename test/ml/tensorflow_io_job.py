"""TFRecords written to and read from s3:// by TensorFlow itself, with the S3 of tensorflow-io: `tensorflow_io_job.py FOLDER`."""
import os
import sys
from pathlib import Path

import boto3
import tensorflow as tf
# Importing it adds s3:// to TensorFlow.
import tensorflow_io

import checks
from checks import check, equal, files_of, objects_of, run_steps, same_bytes
from tfrecords import compare_pipelines, write_shards

FOLDER = Path(sys.argv[1]) / 'records'
BUCKET = 'tensorflow-io'

s3 = boto3.client('s3')


def write():
    FOLDER.mkdir()
    write_shards(FOLDER)
    s3.create_bucket(Bucket=BUCKET)
    write_shards(f's3://{BUCKET}/train')
    same_bytes(objects_of(s3, BUCKET, 'train/'), files_of(FOLDER), 'written to s3://')


def read():
    files = tf.io.gfile.glob(f's3://{BUCKET}/train/*.tfrecord')
    equal([Path(file).name for file in files], sorted(files_of(FOLDER)), 'glob')
    local = sorted(str(file) for file in FOLDER.iterdir())
    compare_pipelines(interleaved(files), interleaved(local), 'read from s3://')


def interleaved(files):
    files = tf.data.Dataset.from_tensor_slices(files)
    return files.interleave(tf.data.TFRecordDataset, cycle_length=2, num_parallel_calls=2, deterministic=True)


def folders():
    equal(sorted(tf.io.gfile.listdir(f's3://{BUCKET}/train')), sorted(files_of(FOLDER)), 'listdir')
    check(tf.io.gfile.isdir(f's3://{BUCKET}/train'), 'a prefix is a folder')
    equal(tf.io.gfile.stat(f's3://{BUCKET}/train/00000.tfrecord').length, (FOLDER / '00000.tfrecord').stat().st_size, 'stat')
    tf.io.gfile.copy(f's3://{BUCKET}/train/00000.tfrecord', f's3://{BUCKET}/other/copy.tfrecord')
    tf.io.gfile.rename(f's3://{BUCKET}/other/copy.tfrecord', f's3://{BUCKET}/other/moved.tfrecord')
    first = (FOLDER / '00000.tfrecord').read_bytes()
    same_bytes(objects_of(s3, BUCKET, 'other/'), {'moved.tfrecord': first}, 'copied and renamed')
    tf.io.gfile.rmtree(f's3://{BUCKET}/train')
    equal(list(objects_of(s3, BUCKET, 'train/')), [], 'nothing is left of a removed folder')


try:
    run_steps([write, read, folders])
finally:
    # The plugin aborts when Python ends in the usual way.
    sys.stdout.flush()
    os._exit(1 if checks.failures else 0)
