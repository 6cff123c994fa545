"""Training from objects that are here, over s3torchconnector and over boto3, and checkpoints: `pytorch_job.py FOLDER`."""
import io
import os
import sys
from pathlib import Path

import boto3
import torch
import torch.distributed.checkpoint as dcp
from s3torchconnector import S3Checkpoint, S3ClientConfig, S3IterableDataset, S3MapDataset, S3ReaderConstructor
from s3torchconnector.dcp import S3StorageReader, S3StorageWriter
from torch.utils.data import DataLoader, Dataset

from checks import MIB, check, equal, files_of, objects_of, run_steps, same_bytes, write_samples

FOLDER = Path(sys.argv[1])
BUCKET = 'pytorch'
KINDS, IMAGES, SIDE = 4, 96, 64
BATCH, WORKERS, EPOCHS = 8, 2, 2
# Keys say the kind: train/<kind>/<number>. The shards are larger than the 8 MiB that the connector asks for at once.
SIZES = {f'train/{number % KINDS}/{number:03}': 3 * SIDE * SIDE for number in range(IMAGES)}
SHARDS = {f'shards/{number}': 9 * MIB + number for number in range(3)}
HERE = {
    'region': 'us-east-1',
    'endpoint': os.environ['AWS_ENDPOINT_URL'],
    's3client_config': S3ClientConfig(force_path_style=True),
}

s3 = boto3.client('s3')


def upload():
    write_samples(FOLDER / 'files', {**SIZES, **SHARDS})
    s3.create_bucket(Bucket=BUCKET)
    for key in [*SIZES, *SHARDS]:
        s3.upload_file(str(FOLDER / 'files' / key), BUCKET, key)
    same_bytes(objects_of(s3, BUCKET), files_of(FOLDER / 'files'), 'in the store')


def decode(key, data):
    """A sample: its key, the image and its kind."""
    image = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return {'key': key, 'image': image, 'kind': int(key.split('/')[1])}


def decode_object(reader):
    return decode(reader.key, reader.read())


def map_dataset():
    dataset = S3MapDataset.from_prefix(f's3://{BUCKET}/train/', transform=decode_object, **HERE)
    equal(len(dataset), IMAGES, 'the dataset knows its length')
    compare_training(DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=WORKERS), 'S3MapDataset')


def iterable_dataset():
    dataset = S3IterableDataset.from_prefix(f's3://{BUCKET}/train/', transform=decode_object, enable_sharding=True, **HERE)
    compare_training(DataLoader(dataset, batch_size=BATCH, num_workers=WORKERS), 'S3IterableDataset')


class Boto3Dataset(Dataset):
    """The same over boto3: every worker makes a client of its own."""

    def __init__(self, bucket, prefix):
        self.bucket = bucket
        pages = boto3.client('s3').get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix=prefix)
        self.keys = [entry['Key'] for page in pages for entry in page.get('Contents', [])]
        self.client = None

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, index):
        self.client = self.client or boto3.client('s3')
        key = self.keys[index]
        return decode(key, self.client.get_object(Bucket=self.bucket, Key=key)['Body'].read())


def boto3_workers():
    dataset = Boto3Dataset(BUCKET, 'train/')
    compare_training(DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=WORKERS), 'boto3 in workers')


def compare_training(loader, name):
    """Trains over the loader and over local files in the same order: samples, losses and weights must be the same."""
    seen = []
    model, losses = train(recorded(loader, seen))
    keys = [key for batch in seen for key in batch['key']]
    for epoch in range(EPOCHS):
        equal(sorted(keys[epoch * IMAGES:(epoch + 1) * IMAGES]), sorted(SIZES), f'{name}: epoch {epoch} has each sample once')
    read = {key: image.numpy().tobytes() for batch in seen for key, image in zip(batch['key'], batch['image'])}
    same_bytes(read, {key: (FOLDER / 'files' / key).read_bytes() for key in SIZES}, name)
    local_model, local_losses = train(local_batches(keys))
    equal(losses, local_losses, f'{name}: the losses of local files')
    same_weights(model, local_model.state_dict(), f'{name}: the weights of local files')


def recorded(loader, seen):
    for _ in range(EPOCHS):
        for batch in loader:
            seen.append(batch)
            yield batch


def local_batches(keys):
    for start in range(0, len(keys), BATCH):
        samples = [decode(key, (FOLDER / 'files' / key).read_bytes()) for key in keys[start:start + BATCH]]
        yield torch.utils.data.default_collate(samples)


def train(batches):
    torch.manual_seed(1)
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for batch in batches:
        loss = torch.nn.functional.cross_entropy(model(batch['image'].float() / 255), batch['kind'])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def make_model():
    """12 MB of weights, so that a checkpoint is more than one part."""
    return torch.nn.Sequential(torch.nn.Linear(3 * SIDE * SIDE, 250), torch.nn.ReLU(), torch.nn.Linear(250, KINDS))


def same_weights(model, wanted, name):
    actual = model.state_dict()
    check(actual.keys() == wanted.keys() and all(torch.equal(actual[key], wanted[key]) for key in wanted), name)


def large_objects():
    wanted = {key: (FOLDER / 'files' / key).read_bytes() for key in SHARDS}
    dataset = S3IterableDataset.from_prefix(f's3://{BUCKET}/shards/', **HERE)
    same_bytes({reader.key: reader.read() for reader in dataset}, wanted, 'shards from end to end')
    ranges = S3ReaderConstructor.range_based(buffer_size=0)
    dataset = S3MapDataset.from_prefix(f's3://{BUCKET}/shards/', reader_constructor=ranges, **HERE)
    for reader in dataset:
        for start, count in [(0, 8), (MIB - 1, 2 * MIB), (9 * MIB - 5, 5)]:
            reader.seek(start)
            check(reader.read(count) == wanted[reader.key][start:start + count], f'{reader.key}: {count} bytes from {start}')


def checkpoint():
    torch.manual_seed(2)
    model = make_model()
    local = io.BytesIO()
    torch.save(model.state_dict(), local)
    checkpoints = S3Checkpoint(**HERE)
    with checkpoints.writer(f's3://{BUCKET}/checkpoints/epoch-1.pt') as writer:
        torch.save(model.state_dict(), writer)
    same_bytes(objects_of(s3, BUCKET, 'checkpoints/'), {'epoch-1.pt': local.getvalue()}, 'the checkpoint')
    with checkpoints.reader(f's3://{BUCKET}/checkpoints/epoch-1.pt') as reader:
        same_weights(model, torch.load(reader), 'weights that were read back')


def distributed_checkpoint():
    torch.manual_seed(3)
    model = make_model()
    where = {'region': 'us-east-1', 'path': f's3://{BUCKET}/distributed/epoch-1', 's3client_config': HERE['s3client_config']}
    dcp.save(model.state_dict(), storage_writer=S3StorageWriter(**where))
    stored = objects_of(s3, BUCKET, 'distributed/epoch-1/')
    equal(sorted(stored), ['.metadata', '__0_0.distcp'], 'files of the distributed checkpoint')
    dcp.save(model.state_dict(), checkpoint_id=FOLDER / 'distributed')
    # The other file has an id that differs each time; it is judged by the load below.
    weights = (FOLDER / 'distributed' / '__0_0.distcp').read_bytes()
    check(stored['__0_0.distcp'] == weights, 'the bytes of the distributed checkpoint')
    state = make_model().state_dict()
    dcp.load(state, storage_reader=S3StorageReader(**where))
    same_weights(model, state, 'weights of the distributed checkpoint')


run_steps([upload, map_dataset, iterable_dataset, boto3_workers, large_objects, checkpoint, distributed_checkpoint])
