"""Checks that boto3, with its defaults, gets from a store what it gets from S3. Prints TAP; the environment says where."""
import base64
import hashlib
import io
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
import zlib

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

from checks import MIB, PART, check, equal, etag_of, md5, run, sample

BUCKET = 'boto3-checks'
ODD_KEYS = [
    'a', 'a/', '/a', '//a', 'a//b', 'a/../b', 'a/./b', './b', 'a/..', '.', 'a b', ' a', 'a ', 'a+b', 'a%b',
    'a%2Fb', 'a=b&c=d', 'a?b', 'a#b', 'a;b', 'a:b', "a'b", 'a"b', 'a\\b', '<a>&amp;', 'é', 'e\u0301', '日本', '🏺',
    'a\nb', 'a\tb', '*', '~', '\ufffd', 'k' * 1024,
]


def refused(code, status, name, call, *args, **kwargs):
    """The call must fail with this S3 error."""
    try:
        call(*args, **kwargs)
    except ClientError as error:
        got = (error.response['Error']['Code'], error.response['ResponseMetadata']['HTTPStatusCode'])
        equal(got, (code, status), name)
    else:
        check(False, f'{name}: was not refused')


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, 'big')).decode()


def fetch(url, method='GET', data=None, headers=None):
    """A request by someone who has nothing but a URL: status, headers, body."""
    trust = ssl.create_default_context(cafile=os.environ.get('AWS_CA_BUNDLE')) if url.startswith('https') else None
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, context=trust, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def buckets(s3, scratch):
    s3.create_bucket(Bucket=BUCKET)
    check(BUCKET in [bucket['Name'] for bucket in s3.list_buckets()['Buckets']], 'list_buckets names the bucket')
    head = s3.head_bucket(Bucket=BUCKET)
    equal(head['ResponseMetadata']['HTTPHeaders'].get('x-amz-bucket-region'), 'us-east-1', 'head_bucket says the region')
    equal(s3.get_bucket_location(Bucket=BUCKET)['LocationConstraint'], None, 'us-east-1 is no location constraint')
    refused('404', 404, 'head of a missing bucket', s3.head_bucket, Bucket='no-such-bucket')
    refused('NoSuchBucket', 404, 'list of a missing bucket', s3.list_objects_v2, Bucket='no-such-bucket')


def puts(s3, scratch):
    for size in [0, 1, 127, 128, 129, 131_071, 131_072, 131_073, 524_288, 524_289, 3 * MIB + 5]:
        data = sample(f'put {size}', size)
        put = s3.put_object(Bucket=BUCKET, Key=f'put/{size}', Body=data, ContentType='application/x-sample', Metadata={'size': str(size)})
        equal(put['ETag'], f'"{md5(data)}"', f'put_object of {size}: ETag is the MD5')
        equal(put.get('ChecksumCRC32'), crc32(data), f'put_object of {size}: checksum')
        got = s3.get_object(Bucket=BUCKET, Key=f'put/{size}')
        check(got['Body'].read() == data, f'get_object of {size}: bytes')
        head = s3.head_object(Bucket=BUCKET, Key=f'put/{size}', ChecksumMode='ENABLED')
        seen = (head['ContentLength'], head['ETag'], head['ContentType'], head['Metadata'], head.get('ChecksumCRC32'))
        equal(seen, (size, put['ETag'], 'application/x-sample', {'size': str(size)}, crc32(data)), f'head_object of {size}')
    refused('NoSuchKey', 404, 'get of a missing key', s3.get_object, Bucket=BUCKET, Key='missing')
    refused('404', 404, 'head of a missing key', s3.head_object, Bucket=BUCKET, Key='missing')


def ranges(s3, scratch):
    size = 3 * MIB + 5
    data = sample(f'put {size}', size)
    spans = [(0, 0), (0, 99), (131_071, 131_072), (524_287, 524_289), (1_000_000, 2_000_000), (size - 1, size - 1)]
    for first, last in spans:
        got = s3.get_object(Bucket=BUCKET, Key=f'put/{size}', Range=f'bytes={first}-{last}')
        check(got['Body'].read() == data[first:last + 1], f'bytes={first}-{last}')
        equal(got.get('ContentRange'), f'bytes {first}-{last}/{size}', f'content range of {first}-{last}')
    check(s3.get_object(Bucket=BUCKET, Key=f'put/{size}', Range='bytes=-7')['Body'].read() == data[-7:], 'the last seven bytes')
    check(s3.get_object(Bucket=BUCKET, Key=f'put/{size}', Range=f'bytes={MIB}-')['Body'].read() == data[MIB:], 'from 1 MiB on')
    refused('InvalidRange', 416, 'a range behind the end', s3.get_object, Bucket=BUCKET, Key=f'put/{size}', Range=f'bytes={size}-')


def conditions(s3, scratch):
    put = s3.put_object(Bucket=BUCKET, Key='once', Body=b'first', IfNoneMatch='*')
    refused('PreconditionFailed', 412, 'IfNoneMatch=* on what exists', s3.put_object, Bucket=BUCKET, Key='once', Body=b'second', IfNoneMatch='*')
    # Of a request whose 100 Continue never came botocore keeps what it must not: the next one on its connection would hang.
    refused('PreconditionFailed', 412, 'the same without a body', s3.put_object, Bucket=BUCKET, Key='once', Body=b'', IfNoneMatch='*')
    s3.put_object(Bucket=BUCKET, Key='empty', Body=b'')
    s3.put_object(Bucket=BUCKET, Key='behind it', Body=b'one more')
    refused('PreconditionFailed', 412, 'IfMatch of another ETag', s3.put_object, Bucket=BUCKET, Key='once', Body=b'third', IfMatch='"0"')
    s3.put_object(Bucket=BUCKET, Key='once', Body=b'fourth', IfMatch=put['ETag'])
    equal(s3.get_object(Bucket=BUCKET, Key='once')['Body'].read(), b'fourth', 'the write whose condition held is there')
    refused('304', 304, 'IfNoneMatch of its ETag on a read', s3.get_object, Bucket=BUCKET, Key='once', IfNoneMatch=f'"{md5(b"fourth")}"')
    refused('PreconditionFailed', 412, 'IfMatch of another ETag on a read', s3.get_object, Bucket=BUCKET, Key='once', IfMatch='"0"')


def checksums(s3, scratch):
    data = sample('checksums', 300_000)
    for algorithm in ['CRC32', 'SHA1', 'SHA256']:
        put = s3.put_object(Bucket=BUCKET, Key=f'sum/{algorithm}', Body=data, ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=BUCKET, Key=f'sum/{algorithm}', ChecksumMode='ENABLED')
        name = f'Checksum{algorithm}'
        equal(got.get(name), put.get(name), f'{algorithm} is stored and returned')
        check(got['Body'].read() == data and got.get(name), f'{algorithm} is verified by boto3')
    wrong = base64.b64encode(bytes(4)).decode()
    # boto3 sends a body again when it seems to have been damaged on the way.
    once = boto3.client('s3', config=Config(retries={'max_attempts': 0}))
    refused('BadDigest', 400, 'a wrong CRC32', once.put_object, Bucket=BUCKET, Key='sum/wrong', Body=data, ChecksumCRC32=wrong)
    refused('BadDigest', 400, 'a wrong Content-MD5', once.put_object, Bucket=BUCKET, Key='sum/wrong', Body=data, ContentMD5=base64.b64encode(bytes(16)).decode())
    refused('404', 404, 'nothing of it is stored', s3.head_object, Bucket=BUCKET, Key='sum/wrong')


def transfers(s3, scratch):
    data = sample('big', 200 * MIB)
    source, target = os.path.join(scratch, 'source'), os.path.join(scratch, 'target')
    with open(source, 'wb') as file:
        file.write(data)
    s3.upload_file(source, BUCKET, 'big', ExtraArgs={'Metadata': {'origin': 'upload_file'}})
    head = s3.head_object(Bucket=BUCKET, Key='big')
    equal((head['ETag'], head['Metadata']), (etag_of(data), {'origin': 'upload_file'}), 'upload_file of 200 MiB: ETag and metadata')
    s3.download_file(BUCKET, 'big', target)
    with open(target, 'rb') as file:
        check(file.read() == data, 'download_file of 200 MiB: bytes')
    part = s3.get_object(Bucket=BUCKET, Key='big', PartNumber=3)
    check(part['Body'].read() == data[2 * PART:3 * PART], 'part 3 by its number')
    equal(part.get('PartsCount'), 25, 'number of parts')
    s3.upload_fileobj(io.BytesIO(data[:20 * MIB]), BUCKET, 'stream')
    got = io.BytesIO()
    s3.download_fileobj(BUCKET, 'stream', got)
    check(got.getvalue() == data[:20 * MIB], 'upload_fileobj and download_fileobj: bytes')
    s3.copy({'Bucket': BUCKET, 'Key': 'big'}, BUCKET, 'big-copy')
    equal(s3.head_object(Bucket=BUCKET, Key='big-copy')['ETag'], etag_of(data), 'copy of 200 MiB in parts: ETag')
    got = s3.get_object(Bucket=BUCKET, Key='big-copy', Range='bytes=150000000-150000999')
    check(got['Body'].read() == data[150_000_000:150_001_000], 'copy of 200 MiB in parts: bytes')


def multipart(s3, scratch):
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key='by-hand', ContentType='text/plain')['UploadId']
    first, second = sample('first', 5 * MIB), sample('second', 1000)
    sent = [s3.upload_part(Bucket=BUCKET, Key='by-hand', UploadId=upload, PartNumber=n, Body=body) for n, body in [(7, second), (2, first)]]
    listed = s3.list_parts(Bucket=BUCKET, Key='by-hand', UploadId=upload)['Parts']
    equal([(part['PartNumber'], part['Size']) for part in listed], [(2, 5 * MIB), (7, 1000)], 'list_parts')
    uploads = s3.list_multipart_uploads(Bucket=BUCKET).get('Uploads', [])
    equal([(entry['Key'], entry['UploadId']) for entry in uploads], [('by-hand', upload)], 'list_multipart_uploads')
    refused('404', 404, 'nothing is visible before it is completed', s3.head_object, Bucket=BUCKET, Key='by-hand')
    parts = [{'PartNumber': n, 'ETag': part['ETag'], 'ChecksumCRC32': part['ChecksumCRC32']} for n, part in [(2, sent[1]), (7, sent[0])]]
    refused('InvalidPartOrder', 400, 'parts out of order', s3.complete_multipart_upload, Bucket=BUCKET, Key='by-hand', UploadId=upload, MultipartUpload={'Parts': parts[::-1]})
    done = s3.complete_multipart_upload(Bucket=BUCKET, Key='by-hand', UploadId=upload, MultipartUpload={'Parts': parts})
    wanted = md5(hashlib.md5(first).digest() + hashlib.md5(second).digest())
    equal(done['ETag'], f'"{wanted}-2"', 'ETag of parts')
    equal((len(done.get('ChecksumCRC64NVME', '')), done.get('ChecksumType')), (12, 'FULL_OBJECT'), 'checksum of the whole')
    head = s3.head_object(Bucket=BUCKET, Key='by-hand', ChecksumMode='ENABLED')
    equal(head.get('ChecksumCRC64NVME'), done.get('ChecksumCRC64NVME'), 'head_object says it as well')
    equal([part.get('ChecksumCRC32') for part in listed], [None, None], 'list_parts shows none')
    check(s3.get_object(Bucket=BUCKET, Key='by-hand')['Body'].read() == first + second, 'bytes of parts')
    gone = s3.create_multipart_upload(Bucket=BUCKET, Key='aborted')['UploadId']
    s3.abort_multipart_upload(Bucket=BUCKET, Key='aborted', UploadId=gone)
    refused('NoSuchUpload', 404, 'a part of an aborted upload', s3.upload_part, Bucket=BUCKET, Key='aborted', UploadId=gone, PartNumber=1, Body=b'x')


def copies(s3, scratch):
    s3.put_object(Bucket=BUCKET, Key='source +é', Body=b'copied', ContentType='text/x-source', Metadata={'a': 'b'})
    source = {'Bucket': BUCKET, 'Key': 'source +é'}
    result = s3.copy_object(Bucket=BUCKET, Key='kept', CopySource=source)['CopyObjectResult']
    equal(result['ETag'], f'"{md5(b"copied")}"', 'ETag of a copy')
    kept = s3.head_object(Bucket=BUCKET, Key='kept')
    equal((kept['ContentType'], kept['Metadata']), ('text/x-source', {'a': 'b'}), 'a copy keeps metadata')
    s3.copy_object(Bucket=BUCKET, Key='kept', CopySource={'Bucket': BUCKET, 'Key': 'kept'}, MetadataDirective='REPLACE', Metadata={'c': 'd'})
    equal(s3.head_object(Bucket=BUCKET, Key='kept')['Metadata'], {'c': 'd'}, 'a copy onto itself replaces metadata')
    equal(s3.get_object(Bucket=BUCKET, Key='kept')['Body'].read(), b'copied', 'and keeps the bytes')


def keys(s3, scratch):
    bucket = 'odd-keys'
    s3.create_bucket(Bucket=bucket)
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in ODD_KEYS:
        equal(s3.get_object(Bucket=bucket, Key=key)['Body'].read(), key.encode(), f'{key[:30]!r} is itself')
    wanted = sorted(ODD_KEYS, key=lambda key: key.encode())
    pages = s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, PaginationConfig={'PageSize': 7})
    equal([entry['Key'] for page in pages for entry in page.get('Contents', [])], wanted, 'list_objects_v2 by pages of 7')
    pages = s3.get_paginator('list_objects').paginate(Bucket=bucket, PaginationConfig={'PageSize': 7})
    equal([entry['Key'] for page in pages for entry in page.get('Contents', [])], wanted, 'list_objects by pages of 7')
    pages = s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, Delimiter='/', PaginationConfig={'PageSize': 3})
    found = [(page.get('Contents', []), page.get('CommonPrefixes', [])) for page in pages]
    folders = [entry['Prefix'] for _, prefixes in found for entry in prefixes]
    equal(folders, sorted({key.split('/')[0] + '/' for key in ODD_KEYS if '/' in key}), 'common prefixes')
    equal([entry['Key'] for contents, _ in found for entry in contents], [key for key in wanted if '/' not in key], 'keys beside them')
    for key in ['..', '../b', 'a/../../b']:
        refused('InvalidURI', 400, f'{key} climbs above the root', s3.put_object, Bucket=bucket, Key=key, Body=b'')
    refused('KeyTooLongError', 400, 'a key of 1,025 bytes', s3.put_object, Bucket=bucket, Key='k' * 1025, Body=b'')
    deleted = s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': key} for key in [*ODD_KEYS, 'never there']]})
    equal(sorted(entry['Key'] for entry in deleted.get('Deleted', [])), sorted([*ODD_KEYS, 'never there']), 'delete_objects')
    equal(s3.list_objects_v2(Bucket=bucket)['KeyCount'], 0, 'nothing is left')
    s3.delete_bucket(Bucket=bucket)


def many(s3, scratch):
    for number in range(1100):
        s3.put_object(Bucket=BUCKET, Key=f'many/{number:04}', Body=b'')
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix='many/')
    equal((page['KeyCount'], page['IsTruncated']), (1000, True), 'a page is 1,000 keys')
    rest = s3.list_objects_v2(Bucket=BUCKET, Prefix='many/', ContinuationToken=page['NextContinuationToken'])
    names = [entry['Key'] for entry in page['Contents'] + rest['Contents']]
    equal(names, [f'many/{number:04}' for number in range(1100)], 'two pages are everything')
    tail = s3.list_objects_v2(Bucket=BUCKET, Prefix='many/', StartAfter='many/1097')
    equal([entry['Key'] for entry in tail['Contents']], ['many/1098', 'many/1099'], 'StartAfter')


def presigned(s3, scratch):
    body = sample('presigned', 200_000)
    signers = {
        'version 2': s3,
        'version 4': boto3.client('s3', config=Config(signature_version='s3v4')),
    }
    for name, signer in signers.items():
        where = {'Bucket': BUCKET, 'Key': f'presigned +é/{name}'}
        url = signer.generate_presigned_url('put_object', Params=where, ExpiresIn=60)
        check(('X-Amz-Signature' in url) == (name == 'version 4'), f'a URL of signature {name}')
        equal(fetch(url, 'PUT', body, {'Content-Type': ''})[0], 200, f'{name}: presigned PUT')
        url = signer.generate_presigned_url('get_object', Params={**where, 'ResponseContentType': 'text/x-asked'})
        status, headers, got = fetch(url)
        equal((status, headers.get('Content-Type'), got == body), (200, 'text/x-asked', True), f'{name}: presigned GET')
        equal(fetch(url, headers={'Range': 'bytes=5-9'})[2], body[5:10], f'{name}: presigned GET of a range')
        equal(fetch(signer.generate_presigned_url('head_object', Params=where), 'HEAD')[0], 200, f'{name}: presigned HEAD')
        equal(fetch(url.replace('presigned', 'presigne'))[0], 403, f'{name}: a URL that was changed')
        url = signer.generate_presigned_url('get_object', Params=where, ExpiresIn=1)
        time.sleep(2.5)
        equal(fetch(url)[0], 403, f'{name}: a URL that has expired')
    equal(fetch(url.split('?')[0])[0], 403, 'no signature at all')


def configurations(s3, scratch):
    equal(s3.get_object_acl(Bucket=BUCKET, Key='kept')['Grants'][0]['Permission'], 'FULL_CONTROL', 'an ACL says FULL_CONTROL')
    equal(s3.get_object_tagging(Bucket=BUCKET, Key='kept')['TagSet'], [], 'tagging is empty')
    refused('NoSuchBucketPolicy', 404, 'no policy', s3.get_bucket_policy, Bucket=BUCKET)
    refused('NoSuchLifecycleConfiguration', 404, 'no lifecycle', s3.get_bucket_lifecycle_configuration, Bucket=BUCKET)
    check('Status' not in s3.get_bucket_versioning(Bucket=BUCKET), 'versioning was never set')
    refused('NotImplemented', 501, 'setting a policy', s3.put_bucket_policy, Bucket=BUCKET, Policy='{}')


def strangers(s3, scratch):
    wrong = boto3.client('s3', aws_secret_access_key='wrong', aws_access_key_id=os.environ['AWS_ACCESS_KEY_ID'])
    refused('SignatureDoesNotMatch', 403, 'a wrong secret', wrong.list_buckets)
    unknown = boto3.client('s3', aws_secret_access_key='wrong', aws_access_key_id='nobody')
    refused('InvalidAccessKeyId', 403, 'an unknown key', unknown.list_buckets)
    other = boto3.client('s3', region_name='eu-central-1')
    check('Buckets' in other.list_buckets(), 'another region')


run([
    buckets, puts, ranges, conditions, checksums, transfers, multipart, copies, keys, many, presigned, configurations,
    strangers,
], boto3.client('s3'), sys.argv[1])
