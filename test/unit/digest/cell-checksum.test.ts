// XXH64 against published values, and that every part of a cell's identity changes its checksum.
import t from 'tap'
import { cellChecksum, shardSeed } from '../../../src/digest/cell-checksum.ts'
import { prepareDigests } from '../../../src/digest/digest.ts'
import { xxh64 } from '../../../src/digest/xxh64.ts'
import { parseUid } from '../../../src/kit/uid.ts'
import { pattern } from './pattern.ts'

const uid = parseUid('018f00000000000000000123456789ab')!
const otherUid = parseUid('018f00000000000000000123456789ac')!

t.throws(() => xxh64(new Uint8Array()), { message: /prepareDigests/ })
await prepareDigests()

t.test('xxh64 gives the published values', async (t) => {
  t.equal(xxh64(new Uint8Array()), 0xef46db3751d8e999n)
  t.equal(xxh64(Buffer.from('abc')), 0x44bc2cf5ad770999n)
})

t.test('xxh64 takes views, long input and every seed', async (t) => {
  const bytes = pattern(300_000)
  const copy = Uint8Array.from(bytes.subarray(1000, 299_000))
  t.equal(xxh64(bytes.subarray(1000, 299_000), 7n), xxh64(copy, 7n))
  t.not(xxh64(copy, 2n ** 64n - 1n), xxh64(copy, 0n))
})

t.test('the seed is lo64(uid) ^ slot << 56 ^ part << 32', async (t) => {
  t.equal(shardSeed({ uid, part: 0, slot: 0 }), 0x00000123456789abn)
  t.equal(shardSeed({ uid, part: 10_000, slot: 19 }), 0x13000123456789abn ^ (10_000n << 32n))
})

t.test('blob, part, slot and index of a cell are all in its checksum', async (t) => {
  const bytes = pattern(1000)
  const checksums = [
    cellChecksum(shardSeed({ uid, part: 1, slot: 1 }), 0, bytes),
    cellChecksum(shardSeed({ uid: otherUid, part: 1, slot: 1 }), 0, bytes),
    cellChecksum(shardSeed({ uid, part: 2, slot: 1 }), 0, bytes),
    cellChecksum(shardSeed({ uid, part: 1, slot: 2 }), 0, bytes),
    cellChecksum(shardSeed({ uid, part: 1, slot: 1 }), 1, bytes),
  ]
  t.equal(new Set(checksums).size, checksums.length)
  t.equal(checksums[4], xxh64(bytes, shardSeed({ uid, part: 1, slot: 1 }) ^ 1n))
})

t.test('numbers that do not fit are our own bug', async (t) => {
  t.throws(() => shardSeed({ uid, part: 0, slot: 256 }), { name: 'AssertionFailed' })
  t.throws(() => shardSeed({ uid, part: 65_536, slot: 0 }), { name: 'AssertionFailed' })
  t.throws(() => cellChecksum(0n, 2 ** 32, new Uint8Array()), { name: 'AssertionFailed' })
})
