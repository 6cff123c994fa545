"""The job that Python clients do on an empty store: write, read, list, delete.

A client says how it does each: make_bucket, write, read, read_range (its end excluded), keys (below a prefix, a dict of
sizes), delete, and etag (what S3 gives a body that it writes). Where it can, keys_by_pages and remove_bucket as well.
What the store then has is asked of botocore, which all of them bring along or beside them.
"""
import botocore.session

from checks import MIB, check, equal, run, same_bytes, sample

BUCKET = 'job'
ODD = 'odd/a b/é+%=&.bin'
FILES = {'empty': 0, 'small': 100, ODD: 100_000, 'big': 20 * MIB + 5}
BODIES = {key: sample(key, count) for key, count in FILES.items()}
SPANS = [(0, 1), (8 * MIB - 3, 8 * MIB + 3), (1_000_000, 2_000_000), (20 * MIB, 20 * MIB + 5)]


def do_job(client, *more):
    """Does the job, then the further steps of a client on its bucket, and empties the bucket at the end."""
    witness = botocore.session.get_session().create_client('s3')
    run([write, read, ranges, lists, *more, delete], client, witness)


def write(client, witness):
    client.make_bucket(BUCKET)
    equal([bucket['Name'] for bucket in witness.list_buckets()['Buckets']], [BUCKET], 'the bucket is made')
    for key, body in BODIES.items():
        client.write(BUCKET, key, body)
        head = witness.head_object(Bucket=BUCKET, Key=key)
        equal((head['ContentLength'], head['ETag']), (len(body), client.etag(body)), f'{key}: size and ETag')


def read(client, witness):
    for key, body in BODIES.items():
        same_bytes(client.read(BUCKET, key), body, f'{key}: bytes')


def ranges(client, witness):
    for first, end in SPANS:
        same_bytes(client.read_range(BUCKET, 'big', first, end), BODIES['big'][first:end], f'bytes {first} to {end}')


def lists(client, witness):
    equal(client.keys(BUCKET, ''), FILES, 'all keys, with their sizes')
    equal(client.keys(BUCKET, 'odd/'), {ODD: FILES[ODD]}, 'the key below a prefix')
    if hasattr(client, 'keys_by_pages'):
        pages = client.keys_by_pages(BUCKET, 3)
        equal(pages, [sorted(FILES)[:3], sorted(FILES)[3:]], 'keys by pages of 3')


def delete(client, witness):
    client.delete(BUCKET, ODD)
    equal(client.keys(BUCKET, ''), {key: count for key, count in FILES.items() if key != ODD}, 'only that key is gone')
    for key in FILES:
        if key != ODD:
            client.delete(BUCKET, key)
    equal(client.keys(BUCKET, ''), {}, 'no key is left')
    # Only an empty bucket can be removed.
    if hasattr(client, 'remove_bucket'):
        client.remove_bucket(BUCKET)
    else:
        witness.delete_bucket(Bucket=BUCKET)
    check(witness.list_buckets()['Buckets'] == [], 'no bucket is left')
