"""Clients of boto3 that write, read, delete and list through all gateways until standard input ends. Each request is a line of
JSON in a file: what was asked, when (microseconds of the monotonic clock, which all processes share), and what came of it."""
import functools
import hashlib
import io
import json
import random
import sys
import threading
import time

import boto3
import botocore.exceptions
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

KEYS = 8  # in a generation
REQUESTS = 400  # for a generation, then other keys are written
TRIES_AT_END = 240
SIZES = [40, 3_000, 60_000, 200_000, 700_000]
MULTIPART = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20, use_threads=False)

options = json.loads(sys.argv[1])
bucket = options['bucket']
library = options['library']  # sizes of objects that are written once, at first, and read ever after
stop = threading.Event()
lock = threading.Lock()
out = open(options['file'], 'a', buffering=1)
label_of = {}  # by ETag
done = 0


def now():
    return time.monotonic_ns() // 1000


def client(url):
    tries = {} if options['retries'] else {'retries': {'total_max_attempts': 1}}
    return boto3.client(
        's3', endpoint_url=url, region_name='us-east-1',
        aws_access_key_id=options['accessKeyId'], aws_secret_access_key=options['secretAccessKey'],
        config=Config(connect_timeout=5, read_timeout=60, **tries))


def body_of(label, size):
    """Everything of it can be made again from its beginning."""
    head = f'{label} {size} '.encode()
    block = hashlib.sha256(head).digest()
    return head + (block * (size // len(block) + 1))[:size]


def label_in(body):
    """Undefined where the bytes are not those that somebody wrote."""
    try:
        label, size = body[:60].split(b' ', 2)[:2]
        return label.decode() if body_of(label.decode(), int(size)) == body else None
    except ValueError:
        return None


def tell(line):
    with lock:
        out.write(json.dumps(line) + '\n')


class Worker:
    def __init__(self, number):
        self.name = f'{options["name"]}{number}'
        self.random = random.Random(f'{options["seed"]} {number}')
        self.clients = [client(url) for url in options['gateways']]
        self.wrote = 0
        self.seen = {}  # what this one knows of keys: (label, ETag)

    def run(self):
        global done
        while not stop.is_set():
            with lock:
                done += 1
                generation = done // REQUESTS
            self.step(generation)
            stop.wait(self.random.uniform(0, 2 * options['pauseSeconds']))

    def step(self, generation):
        if library and self.random.random() < 0.3:
            self.get(f'library/{self.random.randrange(len(library))}')
        chance = self.random.random()
        key = f'g{generation}/k{self.random.randrange(KEYS)}'
        if chance < 0.08 and generation > 0:
            # What was acknowledged long ago.
            self.get(f'g{self.random.randrange(generation)}/k{self.random.randrange(KEYS)}')
        elif chance < 0.40:
            self.get(key)
        elif chance < 0.50:
            self.list(f'g{generation}/')
        elif chance < 0.57:
            self.delete(key)
        elif chance < 0.63:
            self.put(key, {'kind': 'absent'}, {'IfNoneMatch': '*'})
        elif chance < 0.73 and key in self.seen:
            label, etag = self.seen[key]
            self.put(key, {'kind': 'is', 'label': label}, {'IfMatch': etag})
        else:
            self.put(key, {'kind': 'none'}, {})

    def ask(self, line, act, gateway=None):
        """Does it at one of the gateways. `act` gives what is to be told of the answer."""
        if gateway is None:
            gateway = self.random.randrange(len(self.clients))
        line.update(client=self.name, gateway=gateway, begun=now())
        answer = {}
        try:
            answer, told = act(self.clients[gateway])
            line.update(told)
        except botocore.exceptions.ClientError as error:
            answer = error.response
            status = answer['ResponseMetadata']['HTTPStatusCode']
            line.update(self.answered(line['kind'], status), why=f'{status} {answer["Error"]["Code"]}')
        except Exception as error:
            line.update(outcome='failed', why=f'{type(error).__name__}: {error}'[:200])
        line['ended'] = now()
        for _ in range(answer.get('ResponseMetadata', {}).get('RetryAttempts', 0)):
            # boto3 asked again by itself: of the tries before nobody knows what they did.
            tell({**line, 'outcome': 'failed', 'isCured': True, 'why': 'it was asked again'})
        tell(line)
        if line['outcome'] == 'failed':
            stop.wait(0.05)
        return line

    def answered(self, kind, status):
        if kind == 'get' and status == 404:
            return {'outcome': 'done', 'label': None}
        if kind == 'put' and status in (404, 412):
            return {'outcome': 'refused'}
        return {'outcome': 'failed'}

    def put(self, key, condition, arguments):
        self.wrote += 1
        label = f'{self.name}-{self.wrote}'
        body = body_of(label, self.random.choice(SIZES))
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        label_of[etag] = label

        def act(s3):
            answer = s3.put_object(Bucket=bucket, Key=key, Body=body, **arguments)
            return answer, {'outcome': 'done' if answer['ETag'] == etag else 'wrong'}

        line = self.ask({'kind': 'put', 'key': key, 'label': label, 'condition': condition}, act)
        if line['outcome'] == 'done':
            self.seen[key] = (label, etag)

    def get(self, key, gateway=None):
        etag = None

        def act(s3):
            nonlocal etag
            answer = s3.get_object(Bucket=bucket, Key=key)
            label = label_in(answer['Body'].read())
            etag = answer['ETag']
            is_right = label is not None and label_of.get(etag) == label
            return answer, {'outcome': 'done', 'label': label} if is_right else {'outcome': 'wrong', 'why': etag}

        line = self.ask({'kind': 'get', 'key': key}, act, gateway)
        if line['outcome'] == 'done' and line['label'] is not None:
            self.seen[key] = (line['label'], etag)
        return line

    def delete(self, key):
        def act(s3):
            return s3.delete_object(Bucket=bucket, Key=key), {'outcome': 'done'}

        self.ask({'kind': 'delete', 'key': key}, act)

    def list(self, prefix, gateway=None):
        def act(s3):
            answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
            found = {one['Key']: label_of.get(one['ETag']) for one in answer.get('Contents', [])}
            return answer, {'outcome': 'wrong' if None in found.values() else 'done', 'labels': found}

        return self.ask({'kind': 'list', 'key': prefix}, act, gateway)

    def write_library(self, numbers):
        """What is large goes up in parts, as boto3 does it."""
        for number in numbers:
            label = f'library-{number}'
            key = f'library/{number}'
            body = body_of(label, library[number])

            def act(s3):
                s3.upload_fileobj(io.BytesIO(body), bucket, key, Config=MULTIPART)
                answer = s3.head_object(Bucket=bucket, Key=key)
                label_of[answer['ETag']] = label
                return answer, {'outcome': 'done'}

            self.surely(lambda: self.ask({'kind': 'put', 'key': key, 'label': label}, act))

    def read_library(self, numbers):
        for number in numbers:
            for gateway in range(len(self.clients)):
                self.surely(lambda: self.get(f'library/{number}', gateway))

    def read_all(self, generations):
        """Everything through every gateway; what fails is asked again, since the faults are over."""
        for generation in generations:
            for gateway in range(len(self.clients)):
                for at in range(KEYS):
                    self.surely(lambda: self.get(f'g{generation}/k{at}', gateway))
                self.surely(lambda: self.list(f'g{generation}/', gateway))

    def surely(self, act):
        for _ in range(TRIES_AT_END):
            line = act()
            if line['outcome'] != 'failed':
                return
            time.sleep(0.5)
        tell({**line, 'outcome': 'wrong'})


def run_all(acts):
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    return threads


def join(threads):
    for thread in threads:
        thread.join()


def share(things, at):
    return things[at::options['clients']]


workers = [Worker(number) for number in range(options['clients'])]
numbers = range(len(library))
join(run_all([functools.partial(worker.write_library, share(numbers, at)) for at, worker in enumerate(workers)]))
running = run_all([worker.run for worker in workers])
sys.stdin.read()
stop.set()
join(running)
generations = range(done // REQUESTS + 1)
join(run_all([functools.partial(worker.read_all, share(generations, at)) for at, worker in enumerate(workers)]))
join(run_all([functools.partial(worker.read_library, share(numbers, at)) for at, worker in enumerate(workers)]))
