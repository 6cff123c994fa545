"""What the checks of Python clients share: lines of TAP, and bytes that follow from their name."""
import hashlib
import sys
import traceback

MIB = 1024 * 1024
# boto3 cuts what is this long or longer into parts of this size.
PART = 8 * MIB

checks = 0
failures = 0


def check(ok, name):
    """One TAP line."""
    global checks, failures
    checks += 1
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} {checks} - {name}".replace('#', '\\#').replace('\n', ' '))
    return ok


def equal(actual, wanted, name):
    if not check(actual == wanted, name):
        print(f'  # wanted {repr(wanted)[:500]}\n  # actual {repr(actual)[:500]}')


def same_bytes(actual, wanted, name):
    """Compares by SHA-256, which is short enough to be shown."""
    equal((len(actual), sha256(actual)), (len(wanted), sha256(wanted)), name)


def sample(name, count):
    """Bytes that follow from their name."""
    return hashlib.shake_128(name.encode()).digest(count)


def md5(data):
    return hashlib.md5(data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def etag_of(data, part=PART):
    """MD5, or MD5 of MD5s and the number of parts when boto3 cuts it."""
    return f'"{md5(data)}"' if len(data) < part else etag_of_parts(data, part)


def etag_of_parts(data, part):
    """The ETag of an upload in parts, be it a single one."""
    parts = [hashlib.md5(data[at:at + part]).digest() for at in range(0, max(len(data), 1), part)]
    return f'"{md5(b"".join(parts))}-{len(parts)}"'


def run(steps, *args):
    """Runs every step, also behind one that failed, and ends the process with what came of them."""
    print('TAP version 14')
    for step in steps:
        print(f'# {step.__name__}')
        try:
            step(*args)
        except Exception:
            check(False, f'{step.__name__} ran to its end')
            print('\n'.join(f'  # {line}' for line in traceback.format_exc().splitlines()[-12:]))
    print(f'1..{checks}')
    sys.exit(1 if failures else 0)
