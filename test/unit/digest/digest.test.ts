// Digests against published check values, and against themselves in pieces and interleaved.
import t from 'tap'
import { type DigestName, digestOf, newDigest, prepareDigests } from '../../../src/digest/digest.ts'
import { pattern } from './pattern.ts'

/** Of '123456789': RFC 1321 style sums, and the check values of the CRC catalogue. */
const check: Record<DigestName, string> = {
  MD5: '25f9e794323b453885f5181f1b624d0b',
  SHA1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  SHA256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
  CRC32: 'cbf43926',
  CRC32C: 'e3069283',
  CRC64NVME: 'ae8b14860a799888',
}
const empty: Record<DigestName, string> = {
  MD5: 'd41d8cd98f00b204e9800998ecf8427e',
  SHA1: 'da39a3ee5e6b4b0d3255bfef95601890afd80709',
  SHA256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  CRC32: '00000000',
  CRC32C: '00000000',
  CRC64NVME: '0000000000000000',
}
const names = Object.keys(check) as DigestName[]

t.throws(() => newDigest('CRC32C'), { message: /prepareDigests/ })
await prepareDigests()
await prepareDigests()

for (const name of names) {
  t.test(name, async (t) => {
    t.equal(hex(digestOf(name, Buffer.from('123456789'))), check[name])
    t.equal(hex(newDigest(name).digest()), empty[name])
    t.equal(hex(digestOf(name, new Uint8Array())), empty[name])
  })
}

t.test('pieces of any size give the digest of the whole', async (t) => {
  const bytes = pattern(100_003)
  for (const name of names) {
    const digest = newDigest(name)
    for (let start = 0, size = 1; start < bytes.length; start += size, size = size * 3 + 1) {
      digest.update(bytes.subarray(start, start + size))
    }
    t.equal(hex(digest.digest()), hex(digestOf(name, bytes)), name)
  }
})

t.test('digests under way at once do not disturb each other', async (t) => {
  const inputs = [1, 2, 3, 4].map((seed) => pattern(50_000, seed))
  for (const name of names) {
    const digests = inputs.map(() => newDigest(name))
    for (let start = 0; start < 50_000; start += 1000) {
      for (const [index, digest] of digests.entries()) {
        digest.update(inputs[index]!.subarray(start, start + 1000))
      }
    }
    const actual = digests.map((digest) => hex(digest.digest()))
    t.same(
      actual,
      inputs.map((input) => hex(digestOf(name, input))),
      name,
    )
  }
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
