// XXH64 against published values, and that every part of a cell's identity changes its checksum.
import t from 'tap'
import { cellChecksum, shardSeed } from '../../../src/digest/cell-checksum.ts'
import { prepareDigests } from '../../../src/digest/digest.ts'
import { hashInPlace, xxh64 } from '../../../src/digest/xxh64.ts'
import { parseUid } from '../../../src/kit/uid.ts'
import { webAssembly } from '../../../src/kit/webassembly.ts'
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

t.test('what lies in a memory that is hashed in place has the same checksums', async (t) => {
  const memory = new webAssembly.Memory({ initial: 4, maximum: 4 })
  const bytes = Buffer.from(memory.buffer)
  bytes.set(pattern(bytes.length))
  const copy = Buffer.from(bytes)
  hashInPlace(memory)
  // All ways in which a length is made of blocks, words, half words and bytes; at the very end of the memory as well.
  const lengths = [...Array.from({ length: 200 }, (_, length) => length), 4096, 131_072, 131_099]
  for (const length of lengths) {
    for (const from of [0, 3, 1000, bytes.length - length]) {
      for (const seed of [0n, 1n, 2n ** 63n, 2n ** 64n - 1n]) {
        const wanted = xxh64(copy.subarray(from, from + length), seed)
        const actual = xxh64(bytes.subarray(from, from + length), seed)
        if (actual !== wanted) t.fail(`${length} bytes from ${from} with seed ${seed}`)
      }
    }
  }
  bytes[5] = bytes[5]! ^ 1
  t.not(xxh64(bytes.subarray(0, 64)), xxh64(copy.subarray(0, 64)))
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
