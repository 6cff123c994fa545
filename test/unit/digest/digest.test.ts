// Digests against published check values, and against themselves in pieces and interleaved.
import t from 'tap'
import { type DigestName, digestOf, newDigest, prepareDigests } from '../../../src/digest/digest.ts'
import { pattern } from './pattern.ts'

/** Of '123456789': RFC 1321 style sums, and the check values of the CRC catalogue. */
const check: Record<DigestName, string> = {
  MD5: '25f9e794323b453885f5181f1b624d0b',
  SHA1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  SHA256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
  SHA512:
    'd9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a' +
    'd27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85',
  CRC32: 'cbf43926',
  CRC32C: 'e3069283',
  CRC64NVME: 'ae8b14860a799888',
  XXHASH64: '8cb841db40e6ae83',
  XXHASH3: '72dcb18b67a17dff',
  XXHASH128: '33119477ede5dcd5e9716427681d5860',
}
const empty: Record<DigestName, string> = {
  MD5: 'd41d8cd98f00b204e9800998ecf8427e',
  SHA1: 'da39a3ee5e6b4b0d3255bfef95601890afd80709',
  SHA256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  SHA512:
    'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce' +
    '47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e',
  CRC32: '00000000',
  CRC32C: '00000000',
  CRC64NVME: '0000000000000000',
  XXHASH64: 'ef46db3751d8e999',
  XXHASH3: '2d06800538d394c2',
  XXHASH128: '99aa06d3014798d86001c324468d497f',
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
