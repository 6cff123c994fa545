// Rows of shards.db: round trip, order, and no rot unnoticed.
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import {
  decodeEntry,
  encodeEntry,
  type IndexEntry,
  shardKey,
} from '../../../../src/storage-node/index/index-rows.ts'

await prepareDigests()

const id = { uid: '018bcfe56800aabbccddeeff00112233' as Uid, part: 258, slot: 5 }
const row = { segment: 7, offset: 4096, headerBytes: 192, cellBytes: 131_072, shardBytes: 200_000 }
const entries: IndexEntry[] = [
  { kind: 'shard', id, row },
  { kind: 'sealed', segment: 7, records: 16_000 },
  { kind: 'dead', place: { segment: 7, offset: 2 ** 26 - 64 } },
]

t.test('round trip and golden bytes', async (t) => {
  const golden = [
    ['01018bcfe56800aabbccddeeff00112233010205', '0700000000100000c000000000000200400d0300'],
    ['0200000007', '803e0000'],
    ['030000000703ffffc0', ''],
  ]
  for (const [at, entry] of entries.entries()) {
    const { key, value } = encodeEntry(entry)
    t.same(decodeEntry(key, value), entry)
    t.equal(Buffer.from(key).toString('hex'), golden[at]![0])
    t.equal(Buffer.from(value.subarray(0, -8)).toString('hex'), golden[at]![1])
  }
})

t.test('every flipped bit is noticed, in key and value', async (t) => {
  for (const entry of entries) {
    const { key, value } = encodeEntry(entry)
    for (const bytes of [key, value]) {
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        t.throws(() => decodeEntry(key, value), { code: 'INDEX_CORRUPT' })
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
    }
    t.throws(() => decodeEntry(key, value.subarray(1)), { code: 'INDEX_CORRUPT' })
    t.throws(() => decodeEntry(key, value.subarray(0, 3)), { code: 'INDEX_CORRUPT' })
  }
})

t.test('keys sort by uid, part and slot', async (t) => {
  const later = shardKey({ ...id, part: 300, slot: 0 })
  t.ok(Buffer.compare(shardKey(id), later) < 0)
})
