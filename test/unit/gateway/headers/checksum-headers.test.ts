// Which checksum a client chose, and which pairs of algorithm and type go together (pitfalls 33 to 35, 39, 40).
import t from 'tap'
import {
  checksumFields,
  parseChecksumAlgorithm,
  parseObjectChecksum,
  parseUploadChecksum,
  sentAlgorithm,
  wantsChecksum,
} from '../../../../src/gateway/headers/checksum-headers.ts'

t.test('type follows from algorithm where none is given (pitfall 35)', async (t) => {
  const rows = [
    ['CRC32', 'COMPOSITE'],
    ['crc32c', 'COMPOSITE'],
    ['CRC64NVME', 'FULL_OBJECT'],
    ['SHA1', 'COMPOSITE'],
    ['SHA256', 'COMPOSITE'],
    ['SHA512', 'COMPOSITE'],
    ['md5', 'COMPOSITE'],
    ['XXHASH64', 'COMPOSITE'],
    ['XXHASH3', 'COMPOSITE'],
    ['xxhash128', 'COMPOSITE'],
  ] as const
  for (const [algorithm, checksumType] of rows)
    t.same(parseUploadChecksum({ 'x-amz-checksum-algorithm': algorithm }), {
      checksumAlgorithm: algorithm.toUpperCase(),
      checksumType,
    })
  t.same(parseUploadChecksum({}), {})
})

t.test('pairs that do not go together are refused (pitfall 35)', async (t) => {
  const pair = (algorithm: string, type: string) => ({
    'x-amz-checksum-algorithm': algorithm,
    'x-amz-checksum-type': type,
  })
  t.same(parseUploadChecksum(pair('CRC32', 'FULL_OBJECT')).checksumType, 'FULL_OBJECT')
  t.throws(() => parseUploadChecksum(pair('SHA256', 'FULL_OBJECT')), {
    code: 'InvalidRequest',
    message: 'The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm.',
  })
  for (const algorithm of ['SHA1', 'SHA512', 'MD5', 'XXHASH64', 'XXHASH3', 'XXHASH128'])
    t.throws(() => parseUploadChecksum(pair(algorithm, 'FULL_OBJECT')), { code: 'InvalidRequest' })
  t.throws(() => parseUploadChecksum(pair('CRC64NVME', 'COMPOSITE')), { code: 'InvalidRequest' })
  t.throws(() => parseUploadChecksum({ 'x-amz-checksum-type': 'COMPOSITE' }), {
    code: 'InvalidRequest',
  })
  t.throws(() => parseUploadChecksum(pair('CRC32', 'HALF')), { code: 'InvalidRequest' })
  t.throws(() => parseChecksumAlgorithm({ 'x-amz-checksum-algorithm': 'MD4' }), {
    code: 'InvalidRequest',
  })
})

t.test('the algorithm that comes with a body, as header or trailer', async (t) => {
  t.equal(sentAlgorithm({ 'x-amz-checksum-crc32c': 'AAAAAA==' }), 'CRC32C')
  t.equal(sentAlgorithm({ 'x-amz-trailer': 'x-amz-checksum-crc64nvme' }), 'CRC64NVME')
  t.equal(sentAlgorithm({ 'x-amz-sdk-checksum-algorithm': 'CRC32' }), undefined)
  for (const value of ['NhCmhg==', 'NhCmhg==-3'])
    t.same(parseObjectChecksum({ 'x-amz-checksum-crc32': value }), { algorithm: 'CRC32', value })
  for (const value of ['NhCmhg', 'NhCmhg==-', 'NhCmhg==-3-3', 'AAAAAAAAAAA='])
    t.throws(() => parseObjectChecksum({ 'x-amz-checksum-crc32': value }), {
      code: 'InvalidRequest',
      message: 'Value for x-amz-checksum-crc32 header is invalid.',
    })
  t.equal(parseObjectChecksum({ 'x-amz-checksum-type': 'COMPOSITE' }), undefined)
  t.throws(() => parseObjectChecksum({ 'x-amz-checksum-sha384': 'x' }), { code: 'InvalidRequest' })
  const two = { 'x-amz-checksum-sha1': 'x', 'x-amz-checksum-crc32': 'x' }
  t.throws(() => parseObjectChecksum(two), { code: 'InvalidRequest' }, 'pitfall 32')
})

t.test('checksums are shown with their type (pitfalls 39, 40)', async (t) => {
  const checksum = { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AAAAAA==' } as const
  t.same(checksumFields(checksum), {
    'x-amz-checksum-crc32': 'AAAAAA==',
    'x-amz-checksum-type': 'FULL_OBJECT',
  })
  t.same(checksumFields(checksum, 'value-only'), { 'x-amz-checksum-crc32': 'AAAAAA==' })
  t.same(checksumFields(undefined), {})
  t.ok(wantsChecksum({ 'x-amz-checksum-mode': 'enabled' }), 'as pyarrow writes it')
  t.notOk(wantsChecksum({}))
})
