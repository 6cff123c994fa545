"""What the jobs share: TAP lines, sample files, and the comparison of bytes here with bytes there."""
import hashlib
import sys
import traceback
from pathlib import Path

MIB = 1024 * 1024

checks = 0
failures = 0


def check(ok, name):
    """One TAP line."""
    global checks, failures
    checks += 1
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} {checks} - {name}")
    return ok


def equal(actual, wanted, name):
    if not check(actual == wanted, name):
        print(f'  # wanted {repr(wanted)[:500]}\n  # actual {repr(actual)[:500]}')


def run_steps(steps, *args):
    """Runs the steps of a job; ends the process, with 1 when anything failed. A step that fails ends the job."""
    print('TAP version 14')
    try:
        for step in steps:
            print(f'# {step.__name__}')
            step(*args)
    except Exception:
        check(False, f'{step.__name__} ran to its end')
        print('\n'.join(f'  # {line}' for line in traceback.format_exc().splitlines()))
    print(f'1..{checks}')
    sys.exit(1 if failures else 0)


def sample(name, count):
    """Bytes that follow from their name."""
    return hashlib.shake_128(name.encode()).digest(count)


def write_samples(folder, sizes):
    """Writes a file of sample bytes for every name and size."""
    for name, size in sizes.items():
        file = Path(folder, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sample(name, size))


def files_of(folder):
    """The bytes of all files in a folder, by their path in it."""
    files = [file for file in Path(folder).rglob('*') if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def objects_of(s3, bucket, prefix=''):
    """The bytes of all objects under a prefix, by the rest of their key, as plain boto3 reads them."""
    pages = s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry['Key'] for page in pages for entry in page.get('Contents', [])]
    return {key[len(prefix):]: s3.get_object(Bucket=bucket, Key=key)['Body'].read() for key in keys}


def same_bytes(actual, wanted, name):
    """Two tables of bytes by name: the same names, and under each the same bytes."""
    equal(sorted(actual), sorted(wanted), f'{name}: the same {len(wanted)} names')
    different = [key for key in wanted if actual.get(key) != wanted[key]]
    equal(different, [], f'{name}: the same {sum(len(data) for data in wanted.values())} bytes')
