// Checksums of multipart objects: which one an object gets, and what clients may claim of it.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { digestOf, prepareDigests } from '../../../../src/digest/digest.ts'
import { checkClaims } from '../../../../src/metadata/commands/complete-claims.ts'
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  type ChecksumType,
  type Part,
  type Upload,
} from '../../../../src/metadata/records.ts'
import { listed, openFixture, uidAt } from '../partition-fixture.ts'

const contents = [Buffer.from('first part '), Buffer.from(''), Buffer.from('and the rest')]
const whole = Buffer.concat(contents)

t.before(() => prepareDigests())

function base64(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  return Buffer.from(digestOf(algorithm, bytes)).toString('base64')
}

function partsWith(algorithm?: ChecksumAlgorithm): Part[] {
  return contents.map((bytes, index) => ({
    number: index + 1,
    bytes: bytes.length,
    etag: createHash('md5').update(bytes).digest('hex'),
    modifiedMs: 1,
    ...(algorithm
      ? { checksum: { algorithm, type: 'FULL_OBJECT', value: base64(algorithm, bytes) } }
      : {}),
  }))
}

function uploadWith(checksumAlgorithm?: ChecksumAlgorithm, checksumType?: ChecksumType): Upload {
  return {
    uploadId: uidAt(1),
    initiatedMs: 1,
    headers: {},
    userMetadata: {},
    storageClass: 'STANDARD',
    ...(checksumAlgorithm ? { checksumAlgorithm } : {}),
    ...(checksumType ? { checksumType } : {}),
  }
}

function composite(algorithm: ChecksumAlgorithm): string {
  const digests = contents.map((bytes) => digestOf(algorithm, bytes))
  return `${base64(algorithm, Buffer.concat(digests))}-3`
}

t.test('the checksum declared at Create, of its usual type or the declared one', async (t) => {
  const cases: [ChecksumAlgorithm, ChecksumType | undefined, ChecksumType][] = [
    ['CRC32', undefined, 'COMPOSITE'],
    ['CRC32', 'FULL_OBJECT', 'FULL_OBJECT'],
    ['CRC32C', 'COMPOSITE', 'COMPOSITE'],
    ['CRC32C', 'FULL_OBJECT', 'FULL_OBJECT'],
    ['CRC64NVME', undefined, 'FULL_OBJECT'],
    ['SHA1', undefined, 'COMPOSITE'],
    ['SHA256', 'COMPOSITE', 'COMPOSITE'],
    ['SHA512', undefined, 'COMPOSITE'],
    ['MD5', undefined, 'COMPOSITE'],
    ['XXHASH64', undefined, 'COMPOSITE'],
    ['XXHASH3', 'COMPOSITE', 'COMPOSITE'],
    ['XXHASH128', undefined, 'COMPOSITE'],
  ]
  for (const [algorithm, declared, type] of cases) {
    const value = type === 'COMPOSITE' ? composite(algorithm) : base64(algorithm, whole)
    const checksum = { algorithm, type, value }
    const made = checkClaims({}, uploadWith(algorithm, declared), partsWith(algorithm))
    t.strictSame(made, { kind: 'true', checksum }, `${algorithm} ${declared}`)
  }
})

t.test('an independent sum agrees', async (t) => {
  const made = checkClaims({}, uploadWith('CRC32', 'FULL_OBJECT'), partsWith('CRC32'))
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(whole))
  t.match(made, { checksum: { value: sum.toString('base64') } })
})

t.test('nothing declared: CRC64NVME, which every part has', async (t) => {
  const value = base64('CRC64NVME', whole)
  const checksum = { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value }
  const check = (claimed: Parameters<typeof checkClaims>[0]) =>
    checkClaims(claimed, uploadWith(), partsWith('CRC64NVME'))
  t.strictSame(check({}), { kind: 'true', checksum })
  t.strictSame(check({ checksum: { algorithm: 'CRC64NVME', value } }), { kind: 'true', checksum })
  const wrong = check({ checksum: { algorithm: 'CRC64NVME', value: 'AAAAAAAAAAA=' } })
  t.match(wrong, { kind: 'claim-failed', claim: 'checksum', actual: value })
  const crc32 = { algorithm: 'CRC32', value: base64('CRC32', whole) }
  const other = { claim: 'checksum-type', wanted: 'CRC32', actual: 'CRC64NVME' }
  t.match(check({ checksum: crc32 }), other, 'it was not kept')
  for (const checksumType of ['FULL_OBJECT', 'COMPOSITE']) {
    const named = { kind: 'claim-failed', claim: 'checksum-type', wanted: checksumType, actual: '' }
    t.strictSame(check({ checksumType }), named, 'no type was chosen')
    t.match(check({ checksumType, checksum: { algorithm: 'CRC64NVME', value } }), named)
  }
})

t.test('nothing declared, and parts from before that have another one', async (t) => {
  for (const parts of [partsWith('CRC32'), partsWith('SHA256'), partsWith()]) {
    t.strictSame(checkClaims({}, uploadWith(), parts), { kind: 'true', checksum: undefined })
  }
  const mixed = [...partsWith('CRC64NVME').slice(0, 1), ...partsWith('CRC32').slice(1)]
  t.strictSame(checkClaims({}, uploadWith(), mixed), { kind: 'true', checksum: undefined })
})

t.test('declared, but a part has none: no checksum rather than no object', async (t) => {
  const made = checkClaims({}, uploadWith('CRC32'), [...partsWith('CRC32'), ...partsWith()])
  t.strictSame(made, { kind: 'true', checksum: undefined })
})

t.test('claims that are true', async (t) => {
  const crc = { algorithm: 'CRC32', value: base64('CRC32', whole) }
  const full = { checksum: crc, checksumType: 'FULL_OBJECT', bytes: whole.length }
  for (const upload of [uploadWith('CRC32', 'FULL_OBJECT'), uploadWith()]) {
    const made = checkClaims(full, upload, partsWith('CRC32'))
    t.match(made, { kind: 'true', checksum: { ...crc, type: 'FULL_OBJECT' } })
  }
  const value = composite('SHA256')
  for (const claimed of [value, value.slice(0, -2)]) {
    const claim = { checksum: { algorithm: 'SHA256', value: claimed } }
    const made = checkClaims(claim, uploadWith('SHA256'), partsWith('SHA256'))
    t.match(made, { kind: 'true', checksum: { value, type: 'COMPOSITE' } })
  }
  const onlyType = checkClaims({ checksumType: 'COMPOSITE' }, uploadWith(), partsWith('CRC32C'))
  t.match(onlyType, { kind: 'true', checksum: { value: composite('CRC32C') } })
})

t.test('a type that the algorithm does not have is refused, never dropped', async (t) => {
  const known: Record<ChecksumType, ChecksumAlgorithm[]> = {
    FULL_OBJECT: ['CRC32', 'CRC32C', 'CRC64NVME'],
    COMPOSITE: CHECKSUM_ALGORITHMS.filter((name) => name !== 'CRC64NVME'),
  }
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    for (const type of ['FULL_OBJECT', 'COMPOSITE'] as const) {
      const value = type === 'COMPOSITE' ? composite(algorithm) : base64(algorithm, whole)
      const claimed = { checksum: { algorithm, value }, checksumType: type }
      const made = checkClaims(claimed, uploadWith(), partsWith(algorithm))
      const isFound = known[type].includes(algorithm) && algorithm !== 'CRC64NVME'
      const wanted = isFound
        ? { kind: 'true', checksum: { algorithm, type, value } }
        : { kind: 'claim-failed', claim: 'checksum-type', wanted: type }
      t.match(made, wanted, `${algorithm} ${type}`)
      const onlyType = checkClaims({ checksumType: type }, uploadWith(), partsWith(algorithm))
      t.equal(onlyType.kind, wanted.kind, `${algorithm} ${type}, without a value`)
    }
  }
})

t.test('claims that fail', async (t) => {
  const failed = (claim: string, wanted: string, actual: string) => ({
    kind: 'claim-failed',
    claim,
    wanted,
    actual,
  })
  const parts = partsWith('CRC32')
  const upload = uploadWith('CRC32', 'FULL_OBJECT')
  t.strictSame(checkClaims({ bytes: 5 }, upload, parts), failed('bytes', '5', `${whole.length}`))
  t.strictSame(
    checkClaims({ checksumType: 'COMPOSITE' }, upload, parts),
    failed('checksum-type', 'COMPOSITE', 'FULL_OBJECT'),
  )
  const other = { checksum: { algorithm: 'CRC32C', value: 'AAAAAA==' } }
  t.strictSame(checkClaims(other, upload, parts), failed('checksum-type', 'CRC32C', 'CRC32'))
  const wrong = { checksum: { algorithm: 'CRC32', value: 'AAAAAA==' } }
  const right = base64('CRC32', whole)
  t.strictSame(checkClaims(wrong, upload, parts), failed('checksum', 'AAAAAA==', right))
  t.strictSame(
    checkClaims(wrong, uploadWith(), partsWith()),
    failed('checksum', 'AAAAAA==', ''),
    'what can not be computed is not believed',
  )
  const unknown = { checksum: { algorithm: 'CRC16', value: 'AAAA' } }
  t.match(checkClaims(unknown, uploadWith(), parts), failed('checksum-type', 'CRC16', ''))
})

t.test('a claim about one part is checked against what was stored', async (t) => {
  const { store } = await openFixture()
  const uploadId = await store.create('k', { checksumAlgorithm: 'CRC32' })
  const checksum = { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AQIDBA==' } as const
  const part = store.part(1, 4, checksum)
  await store.putPart('k', uploadId, part)
  const claim = (algorithm: string, value: string) => [
    { ...listed(part), checksum: { algorithm, value } },
  ]
  t.strictSame(await store.complete('k', uploadId, claim('CRC32', 'AAAAAA==')), {
    kind: 'claim-failed',
    claim: 'part-checksum',
    wanted: 'AAAAAA==',
    actual: 'AQIDBA==',
  })
  const other = await store.complete('k', uploadId, claim('SHA1', 'AAAA'))
  t.match(other, { claim: 'part-checksum', actual: '' })
  const done = await store.complete('k', uploadId, claim('CRC32', 'AQIDBA=='))
  t.match(done, { kind: 'done', version: { checksum: { type: 'COMPOSITE', algorithm: 'CRC32' } } })
})

t.test(
  'checksums that parts were sent with may be listed where the upload chose none',
  async (t) => {
    const { store } = await openFixture()
    const value = base64('CRC64NVME', Buffer.from('part'))
    const checksum = { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value } as const
    const uploadId = await store.create('k')
    const part = store.part(1, 4, checksum)
    await store.putPart('k', uploadId, part)
    const claim = (algorithm: string, value: string) => [
      { ...listed(part), checksum: { algorithm, value } },
    ]
    const wrong = await store.complete('k', uploadId, claim('CRC64NVME', 'AAAAAAAAAAA='))
    t.match(wrong, { claim: 'part-checksum', actual: value }, 'what is stored is compared')
    const done = await store.complete('k', uploadId, claim('CRC32', 'AQIDBA=='))
    t.match(done, { kind: 'done', version: { checksum } })
  },
)
