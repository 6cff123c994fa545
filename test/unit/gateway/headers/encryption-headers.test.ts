// What requests say of encryption, to the letter (pitfalls 112, 119); errors never repeat a key.
import { createHash } from 'node:crypto'
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/digest.ts'
import type { Headers } from '../../../../src/gateway/call.ts'
import {
  encryptionFields,
  parseEncryption,
} from '../../../../src/gateway/headers/encryption-headers.ts'
import {
  customerKeyFor,
  sourceCustomerKeyFor,
} from '../../../../src/gateway/operations/steps/customer-key.ts'
import type { Bucket, BucketEncryption } from '../../../../src/objects/object-store.ts'

const SSE = 'x-amz-server-side-encryption'
const KMS_ID = `${SSE}-aws-kms-key-id`
const KEY = Buffer.alloc(32, 3)
const KEY_MD5 = createHash('md5').update(KEY).digest('base64')
const wrappedKey = new Uint8Array(0)

function bucketOf(encryption?: BucketEncryption): Bucket {
  const settings = encryption ? { settings: { encryption } } : {}
  const bucket = { name: 'b', id: 1, createdMs: 0, region: 'r', revision: 1 }
  return { ...bucket, state: 'live', ...settings }
}

function parse(
  headers: Headers,
  usual?: BucketEncryption,
  over = { strict: false, secure: false },
) {
  return parseEncryption({ headers, ...over }, bucketOf(usual))
}

function keyHeaders(over: Headers = {}, prefix = SSE): Headers {
  return {
    [`${prefix}-customer-algorithm`]: 'AES256',
    [`${prefix}-customer-key`]: KEY.toString('base64'),
    [`${prefix}-customer-key-md5`]: KEY_MD5,
    ...over,
  }
}

t.before(() => prepareDigests())

t.test('methods', async (t) => {
  t.equal(parse({}), undefined)
  t.same(parse({ [SSE]: 'AES256' }), { kind: 'SSE-S3' })
  t.same(parse({ [SSE]: 'aws:kms' }), { kind: 'SSE-KMS' })
  const context = Buffer.from('{"a":"b"}').toString('base64')
  const whole = {
    [SSE]: 'aws:kms',
    [KMS_ID]: 'photos',
    [`${SSE}-context`]: context,
    [`${SSE}-bucket-key-enabled`]: 'true',
  }
  t.same(parse(whole), { kind: 'SSE-KMS', keyId: 'photos', context, bucketKey: true })
  t.same(parse(keyHeaders()), { kind: 'SSE-C', customerKey: { key: KEY, keyMd5: KEY_MD5 } })
})

t.test('the default of the bucket holds for whoever says nothing', async (t) => {
  t.same(parse({}, { kind: 'SSE-S3' }), { kind: 'SSE-S3' })
  const usual: BucketEncryption = { kind: 'SSE-KMS', keyId: 'k', bucketKey: true }
  t.same(parse({}, usual), { kind: 'SSE-KMS', keyId: 'k', bucketKey: true })
  const without = { [`${SSE}-bucket-key-enabled`]: 'false' }
  t.same(parse(without, usual), { kind: 'SSE-KMS', keyId: 'k' }, 'an object may do without')
  t.same(parse({ [SSE]: 'AES256' }, usual), { kind: 'SSE-S3' })
  t.same(parse({ [SSE]: 'aws:kms' }, usual), { kind: 'SSE-KMS', bucketKey: true })
  t.match(parse(keyHeaders(), usual), { kind: 'SSE-C' })
  const blocking: BucketEncryption = { kind: 'SSE-S3', blocksCustomerKeys: true }
  t.throws(() => parse(keyHeaders(), blocking), { code: 'AccessDenied' })
})

t.test('what is refused', async (t) => {
  const rows: [headers: Headers, code: string][] = [
    [{ [SSE]: '' }, 'InvalidArgument'],
    [{ [SSE]: 'aes256' }, 'InvalidArgument'],
    [{ [SSE]: 'aws:kms:dsse' }, 'NotImplemented'],
    [{ [SSE]: 'aws:fsx' }, 'NotImplemented'],
    [{ [KMS_ID]: 'k' }, 'InvalidArgument'],
    [{ [SSE]: 'AES256', [KMS_ID]: 'k' }, 'InvalidArgument'],
    [{ [SSE]: 'AES256', [`${SSE}-context`]: 'e30=' }, 'InvalidArgument'],
    [{ [SSE]: 'AES256', [`${SSE}-bucket-key-enabled`]: 'true' }, 'InvalidArgument'],
    [{ [SSE]: 'aws:kms', [`${SSE}-bucket-key-enabled`]: 'yes' }, 'InvalidArgument'],
    [{ [SSE]: 'aws:kms', [`${SSE}-context`]: 'no json' }, 'InvalidArgument'],
    [{ [SSE]: 'aws:kms', [`${SSE}-context`]: 'WzFd' }, 'InvalidArgument'],
    [keyHeaders({ [SSE]: 'AES256' }), 'InvalidArgument'],
    [keyHeaders({ [SSE]: 'AES256', [`${SSE}-customer-algorithm`]: 'KMS' }), 'InvalidArgument'],
    [keyHeaders({ [`${SSE}-customer-algorithm`]: undefined }), 'InvalidArgument'],
    [keyHeaders({ [`${SSE}-customer-algorithm`]: 'AES128' }), 'InvalidEncryptionAlgorithmError'],
    [keyHeaders({ [`${SSE}-customer-key`]: undefined }), 'InvalidArgument'],
    [keyHeaders({ [`${SSE}-customer-key`]: '' }), 'InvalidArgument'],
    [
      keyHeaders({ [`${SSE}-customer-key`]: KEY.subarray(1).toString('base64') }),
      'InvalidArgument',
    ],
    [keyHeaders({ [`${SSE}-customer-key`]: KEY.toString('hex') }), 'InvalidArgument'],
    [keyHeaders({ [`${SSE}-customer-key-md5`]: undefined }), 'InvalidArgument'],
    [keyHeaders({ [`${SSE}-customer-key-md5`]: 'AAAAAAAAAAAAAAAAAAAAAA==' }), 'InvalidArgument'],
    [keyHeaders({}, 'x-amz-copy-source-server-side-encryption'), 'InvalidArgument'],
  ]
  for (const [headers, code] of rows) {
    try {
      parse(headers)
      t.fail(JSON.stringify(headers))
    } catch (error) {
      t.match(error, { code }, JSON.stringify(headers))
      const said = JSON.stringify([String(error), (error as { elements: object }).elements])
      t.notOk(said.includes(KEY.subarray(1).toString('base64').slice(0, 20)), 'no key is repeated')
    }
  }
})

t.test('pitfall 119: a key over plain http is refused in strict', async (t) => {
  const strict = { strict: true, secure: false }
  t.throws(() => parse(keyHeaders(), undefined, strict), { code: 'InvalidRequest' })
  t.match(parse(keyHeaders(), undefined, { strict: true, secure: true }), { kind: 'SSE-C' })
  t.throws(() => customerKeyFor({ headers: keyHeaders(), ...strict }, undefined), {
    code: 'InvalidRequest',
  })
})

t.test('all headers of a key have one name in errors', async (t) => {
  const { length } = KEY
  const faults = [
    { [`${SSE}-customer-algorithm`]: undefined },
    { [`${SSE}-customer-key`]: undefined },
    { [`${SSE}-customer-key`]: KEY.subarray(0, length - 1).toString('base64') },
    { [`${SSE}-customer-key-md5`]: undefined },
    { [`${SSE}-customer-key-md5`]: 'AAAAAAAAAAAAAAAAAAAAAA==' },
  ]
  for (const fault of faults) {
    const elements = { ArgumentName: SSE }
    t.throws(
      () => parse(keyHeaders(fault)),
      { code: 'InvalidArgument', elements },
      Object.keys(fault).join(),
    )
  }
})

t.test('pitfall 119: the key of a read fits, or it is 400', async (t) => {
  const plain = { strict: false, secure: false }
  const read = (headers: Headers, keyMd5?: string) =>
    customerKeyFor(
      { headers, ...plain },
      keyMd5 ? { kind: 'SSE-C', wrappedKey, keyMd5 } : undefined,
    )
  t.equal(read({}), undefined)
  t.same(read(keyHeaders(), KEY_MD5), { key: KEY, keyMd5: KEY_MD5 })
  for (const wrong of [
    () => read(keyHeaders()),
    () => read({}, KEY_MD5),
    () => read(keyHeaders(), 'another'),
    () => customerKeyFor({ headers: keyHeaders(), ...plain }, { kind: 'SSE-S3', wrappedKey }),
    () =>
      sourceCustomerKeyFor(
        { headers: keyHeaders(), ...plain },
        { kind: 'SSE-C', wrappedKey, keyMd5: KEY_MD5 },
      ),
  ]) {
    t.throws(wrong, { code: 'InvalidRequest', status: 400 })
  }
  const other = { kind: 'SSE-C', wrappedKey, keyMd5: 'another' } as const
  const strict = { strict: true, secure: true }
  t.throws(() => customerKeyFor({ headers: keyHeaders(), ...strict }, other), {
    code: 'AccessDenied',
    status: 403,
    message: /must provide the correct secret key\.$/,
  })
  t.throws(() => customerKeyFor({ headers: {}, ...strict }, other), { code: 'InvalidRequest' })
  for (const name of [SSE, KMS_ID, `${SSE}-context`, `${SSE}-bucket-key-enabled`]) {
    t.throws(() => read({ [name]: 'AES256' }), { code: 'InvalidArgument', status: 400 }, name)
  }
  const source = keyHeaders({}, 'x-amz-copy-source-server-side-encryption')
  const encryption = { kind: 'SSE-C', wrappedKey, keyMd5: KEY_MD5 } as const
  t.same(sourceCustomerKeyFor({ headers: source, ...plain }, encryption)?.key, KEY)
})

t.test('what an answer says', async (t) => {
  t.same(encryptionFields(undefined), {})
  t.same(encryptionFields({ kind: 'SSE-S3', wrappedKey }), { [SSE]: 'AES256' })
  t.same(encryptionFields({ kind: 'SSE-KMS', wrappedKey, keyId: 'k', context: 'e30=' }), {
    [SSE]: 'aws:kms',
    [KMS_ID]: 'k',
  })
  t.same(encryptionFields({ kind: 'SSE-KMS', wrappedKey, keyId: 'k', bucketKey: true }), {
    [SSE]: 'aws:kms',
    [KMS_ID]: 'k',
    [`${SSE}-bucket-key-enabled`]: 'true',
  })
  t.same(encryptionFields({ kind: 'SSE-C', wrappedKey, keyMd5: 'm' }), {
    [`${SSE}-customer-algorithm`]: 'AES256',
    [`${SSE}-customer-key-md5`]: 'm',
  })
})
