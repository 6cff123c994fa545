// The AWS SDK for JavaScript with its defaults: checksums, streams, multipart, conditions, presigned URLs.
import { Readable } from 'node:stream'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import t, { type Test } from 'tap'
import { md5 } from './job.ts'
import { sdkOf } from './sdk-js.ts'
import { SCHEMES, startStore, TEST_MS } from './store.ts'

const Bucket = 'sdk-js'
const PART_BYTES = 5 * 1024 * 1024
const ODD_KEYS = [
  'plain',
  'with space',
  'a+b',
  'ü/é/\u{1f600}',
  'a//b',
  'a/',
  '/a',
  'q?x=1&y=2',
  "it's (100%)!*",
]

t.setTimeout(TEST_MS)
for (const scheme of SCHEMES) {
  t.test(`AWS SDK for JavaScript over ${scheme}`, { timeout: TEST_MS }, async (t) => {
    const store = await startStore(t, scheme)
    const s3 = sdkOf(store)
    t.teardown(() => s3.destroy())
    await s3.send(new CreateBucketCommand({ Bucket }))

    for (const Key of ODD_KEYS) {
      const body = Key === 'a/' ? Buffer.alloc(0) : Buffer.from(`bytes of ${Key}`)
      const put = await s3.send(
        new PutObjectCommand({ Bucket, Key, Body: body, ContentType: 'text/x-odd' }),
      )
      t.equal(put.ETag, `"${md5(body)}"`, Key)
      const got = await s3.send(new GetObjectCommand({ Bucket, Key }))
      t.same(Buffer.from(await got.Body!.transformToByteArray()), body, `${Key} comes back`)
      t.equal(got.ContentType, 'text/x-odd')
    }
    const pages = paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket })
    const listed: string[] = []
    for await (const page of pages) listed.push(...(page.Contents ?? []).map(({ Key }) => Key!))
    t.same(listed.sort(), [...ODD_KEYS].sort(), 'every key is listed once')

    const big = Buffer.alloc(3_000_000, 'stream')
    const streamed = new PutObjectCommand({
      Bucket,
      Key: 'streamed',
      Body: Readable.from([big.subarray(0, 1_000_001), big.subarray(1_000_001)]),
      ContentLength: big.length,
      Metadata: { purpose: 'test' },
    })
    t.equal((await s3.send(streamed)).ETag, `"${md5(big)}"`, 'a stream with a trailing checksum')
    const head = await s3.send(
      new HeadObjectCommand({ Bucket, Key: 'streamed', ChecksumMode: 'ENABLED' }),
    )
    t.equal(head.ContentLength, big.length)
    t.same(head.Metadata, { purpose: 'test' })
    t.ok(head.ChecksumCRC32, 'the checksum is kept')
    const ranged = await s3.send(
      new GetObjectCommand({ Bucket, Key: 'streamed', Range: 'bytes=131071-262200' }),
    )
    t.same(
      Buffer.from(await ranged.Body!.transformToByteArray()),
      big.subarray(131071, 262201),
      'a range',
    )

    await multipart(t, s3)

    await s3.send(
      new CopyObjectCommand({ Bucket, Key: 'copied', CopySource: `${Bucket}/streamed` }),
    )
    const copied = await s3.send(new GetObjectCommand({ Bucket, Key: 'copied' }))
    t.equal(md5(await copied.Body!.transformToByteArray()), md5(big), 'a copy')

    const refused = s3.send(
      new PutObjectCommand({ Bucket, Key: 'plain', Body: 'x', IfNoneMatch: '*' }),
    )
    await t.rejects(refused, { name: 'PreconditionFailed' })
    await t.rejects(s3.send(new GetObjectCommand({ Bucket, Key: 'absent' })), { name: 'NoSuchKey' })
    await t.rejects(s3.send(new HeadObjectCommand({ Bucket, Key: 'absent' })), { name: 'NotFound' })
    if (scheme === 'http') {
      const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'with space' }))
      t.equal(await (await fetch(url)).text(), 'bytes of with space', 'a presigned URL')
      await presignedWrites(t, s3)
    }

    const Objects = [...ODD_KEYS, 'never there'].map((Key) => ({ Key }))
    const deleted = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    t.equal(deleted.Deleted?.length, Objects.length)
    const left = await s3.send(new ListObjectsV2Command({ Bucket }))
    t.same(
      left.Contents?.map(({ Key }) => Key),
      ['copied', 'multipart', 'streamed'],
    )
    for (const { Key } of left.Contents ?? [])
      await s3.send(new DeleteObjectCommand({ Bucket, Key }))
    t.equal((await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0, 'no key is left')
    await s3.send(new DeleteBucketCommand({ Bucket }))
    t.same((await s3.send(new ListBucketsCommand({}))).Buckets ?? [], [], 'no bucket is left')
  })
}

async function multipart(t: Test, s3: S3Client): Promise<void> {
  const Key = 'multipart'
  const parts = [
    Buffer.alloc(PART_BYTES, 'a'),
    Buffer.alloc(PART_BYTES, 'b'),
    Buffer.from('the end'),
  ]
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  const Parts = []
  for (const [index, Body] of parts.entries()) {
    const PartNumber = index + 1
    const sent = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }))
    Parts.push({ PartNumber, ETag: sent.ETag, ChecksumCRC32: sent.ChecksumCRC32 })
  }
  const done = await s3.send(
    new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
  )
  t.match(done.ETag, /-3"$/, 'the ETag of three parts')
  const got = await s3.send(new GetObjectCommand({ Bucket, Key }))
  t.equal(md5(await got.Body!.transformToByteArray()), md5(Buffer.concat(parts)), 'multipart')
}

/** As a browser does it: whoever has the SDK signs for a body that it does not have. */
async function presignedWrites(t: Test, s3: S3Client): Promise<void> {
  const key = { Bucket, Key: 'plain' }
  const write = async (url: string) => {
    const { status, headers } = await fetch(url, { method: 'PUT', body: 'hello' })
    t.equal(status, 200)
    return headers.get('etag')!
  }
  const read = async () => {
    const got = await s3.send(new GetObjectCommand({ ...key, ChecksumMode: 'ENABLED' }))
    return { text: await got.Body!.transformToString(), crc: got.ChecksumCRC64NVME }
  }
  await write(await getSignedUrl(s3, new PutObjectCommand(key)))
  t.same(await read(), { text: 'hello', crc: 'M3eFcAZSQlc=' }, 'a presigned PUT')
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(key))
  const part = new UploadPartCommand({ ...key, UploadId, PartNumber: 1 })
  const ETag = await write(await getSignedUrl(s3, part))
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] }
  await s3.send(new CompleteMultipartUploadCommand({ ...key, UploadId, MultipartUpload }))
  t.same(await read(), { text: 'hello', crc: 'M3eFcAZSQlc=' }, 'a presigned part')
}
