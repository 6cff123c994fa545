// The bytes of a shard record: golden, round trip, and no place but its own.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { MatrixId } from '../../../../src/kit/erasure-code.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { ShardDescription } from '../../../../src/storage-node/contract.ts'
import { RecordBuffer } from '../../../../src/storage-node/segment/record-buffer.ts'
import {
  findRecordDamage,
  layoutShard,
  parseHeader,
  recordSecret,
  stampHeader,
} from '../../../../src/storage-node/segment/record-format.ts'

await prepareDigests()

const secret = recordSecret('a cluster')
const place = { segment: 5, offset: 1024 }

function describe(change: Partial<ShardDescription> = {}): ShardDescription {
  return {
    id: { uid: '018bcfe56800aabbccddeeff00112233' as Uid, part: 2, slot: 5 },
    code: { dataCount: 4, parityCount: 2, matrix: MatrixId.CentredVandermonde },
    cellBytes: 16,
    shardBytes: 40,
    blobBytes: 150,
    partition: 77,
    mapEpoch: 9,
    bucketId: 12,
    key: 'fotos/größe',
    metadata: Uint8Array.of(0xa1, 0x61, 0x61, 0x01),
    ...change,
  }
}

function recordOf(description: ShardDescription, bytes: Uint8Array): Uint8Array {
  const record = new RecordBuffer(description)
  for (let at = 0; at < bytes.length; at += description.cellBytes) {
    record.add(bytes.subarray(at, at + description.cellBytes))
  }
  record.seal()
  stampHeader(record.bytes, { secret, place, groupOffset: 512 })
  return record.bytes
}

t.test('golden bytes: records of today are readable for ever', async (t) => {
  const found = readFileSync('test/golden/shard-record-1.hex', 'utf8').replaceAll(/\s/g, '')
  const bytes = Uint8Array.from({ length: 40 }, (_, at) => at)
  t.equal(Buffer.from(recordOf(describe(), bytes)).toString('hex'), found)
  const parsed = parseHeader(Buffer.from(found, 'hex'), secret, place)
  if (parsed.kind !== 'header') return t.fail(parsed.kind)
  t.same(parsed.header.description, describe())
  t.equal(parsed.header.groupOffset, 512)
  const { id } = describe()
  t.equal(findRecordDamage(Buffer.from(found, 'hex'), id, parsed.header.layout), undefined)
})

t.test('round trip', async (t) => {
  const property = fc.property(
    fc.record({
      cellBytes: fc.integer({ min: 1, max: 300 }),
      shardBytes: fc.integer({ min: 0, max: 1000 }),
      blobBytes: fc.integer({ min: 0, max: 2 ** 45 }),
      partition: fc.integer({ min: 0, max: 4095 }),
      mapEpoch: fc.integer({ min: 0, max: 2 ** 40 }),
      bucketId: fc.integer({ min: 0, max: 2 ** 40 }),
      key: fc.string({ unit: 'grapheme', maxLength: 300 }),
      metadata: fc.uint8Array({ maxLength: 500 }),
    }),
    (change) => {
      const description = describe(change)
      const record = recordOf(description, new Uint8Array(description.shardBytes).fill(7))
      const parsed = parseHeader(record, secret, place)
      if (parsed.kind !== 'header') return false
      const { layout } = parsed.header
      t.same(parsed.header.description, description)
      t.same(layout, layoutShard(description))
      return (
        findRecordDamage(record, description.id, layout) === undefined && record.length % 64 === 0
      )
    },
  )
  fc.assert(property, { seed: 7, numRuns: 100 })
})

t.test('every flipped bit is noticed', async (t) => {
  const record = recordOf(describe(), new Uint8Array(40).fill(3))
  const layout = layoutShard(describe())
  let unnoticed = 0
  for (let bit = 0; bit < record.length * 8; bit += 1) {
    record[bit >> 3]! ^= 1 << (bit & 7)
    const header = parseHeader(record, secret, place).kind === 'header'
    const damage = findRecordDamage(record, describe().id, layout)
    if (header && damage === undefined) unnoticed += 1
    record[bit >> 3]! ^= 1 << (bit & 7)
  }
  t.equal(unnoticed, 0)
})

t.test('a header is one only at its place and in its cluster', async (t) => {
  const record = recordOf(describe(), new Uint8Array(40))
  t.equal(parseHeader(record, secret, place).kind, 'header')
  t.equal(parseHeader(record, secret, { ...place, offset: 1088 }).kind, 'none')
  t.equal(parseHeader(record, secret, { ...place, segment: 6 }).kind, 'none')
  t.equal(parseHeader(record, recordSecret('another'), place).kind, 'none')
  t.same(parseHeader(record.subarray(0, 60), secret, place), { kind: 'more', bytes: 88 })
  t.same(parseHeader(record.subarray(0, 100), secret, place), { kind: 'more', bytes: 128 })
})

t.test('cells of another shard are damage', async (t) => {
  const record = recordOf(describe(), new Uint8Array(40))
  const other = { ...describe().id, slot: 4 }
  t.equal(
    findRecordDamage(record, other, layoutShard(describe())),
    'cell 0: the checksum of the cell is wrong',
  )
})
