// Digests against published check values, and against themselves in pieces and interleaved.
import t from 'tap'
import { type DigestName, digestOf, newDigest, prepareDigests } from '../../../src/digest/digest.ts'
import { pattern } from './pattern.ts'

/** Of '123456789': RFC 1321 style sums, the check values of the CRC catalogue, and what xxhsum says. */
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

/** The values that xxHash publishes for its sanity check, seed 0, by length: every branch of the algorithms. */
const SANITY: [name: DigestName, values: [bytes: number, hex: string][]][] = [
  [
    'XXHASH64',
    [
      [1, 'e934a84adb052768'],
      [4, '9136a0dca57457ee'],
      [14, '8282dcc4994e35c8'],
      [222, 'b641ae8cb691c174'],
    ],
  ],
  [
    'XXHASH3',
    [
      [1, 'c44bdff4074eecdb'],
      [6, '27b56a84cd2d7325'],
      [12, 'a713daf0dfbb77e7'],
      [24, 'a3fe70bf9d3510eb'],
      [48, '397da259ecba1f11'],
      [80, 'bcdefbbb2c47c90a'],
      [195, 'cd94217ee362ec3a'],
      [403, 'cdeb804d65c6dea4'],
      [512, '617e49599013cb6b'],
      [2048, 'dd59e2c3a5f038e0'],
      [2240, '6e73a90539cf2948'],
      [2367, 'cb37aeb9e5d361ed'],
    ],
  ],
  [
    'XXHASH128',
    [
      [1, 'a6cd5e9392000f6ac44bdff4074eecdb'],
      [6, '082afe0b8162d12a3e7039bdda43cfc6'],
      [12, '6e3efd8fc7802b18061a192713f69ad9'],
      [24, '0ce966e4678d37611e7044d28b1b901d'],
      [48, 'a002ac4e5478227ef942219aed80f67b'],
      [81, '4952f58181ab00425e8bafb9f95fb803'],
      [222, '337e09641b948717f1aebd597cec6b3a'],
      [403, '1b6de21e332dd73dcdeb804d65c6dea4'],
      [512, '18d2d110dcc9bca1617e49599013cb6b'],
      [2048, 'f736557fd47073a5dd59e2c3a5f038e0'],
      [2240, 'ccb134fbfa7ce49d6e73a90539cf2948'],
      [2367, 'e89c0f6ff369b427cb37aeb9e5d361ed'],
    ],
  ],
]

t.test('the values that xxHash publishes', async (t) => {
  const bytes = sanityBytes(2367)
  for (const [name, values] of SANITY)
    for (const [length, wanted] of values)
      t.equal(hex(digestOf(name, bytes.subarray(0, length))), wanted, `${name} ${length}`)
})

/** The bytes of that check: the top bytes of a sequence that starts with one prime and grows by another. */
function sanityBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = 2654435761n
  for (let index = 0; index < length; index += 1) {
    bytes[index] = Number(state >> 56n)
    state = BigInt.asUintN(64, state * 11400714785074694797n)
  }
  return bytes
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

t.test('digests that were given up, or ended, do not disturb others', async (t) => {
  for (const name of names) {
    const digest = newDigest(name)
    digest.update(Buffer.from('hel'))
    newDigest(name).update(Buffer.from('given up'))
    t.equal(hex(digestOf(name, Buffer.from('ended'))), hex(digestOf(name, Buffer.from('ended'))))
    digest.update(Buffer.from('lo'))
    const result = digest.digest()
    digestOf(name, Buffer.from('later'))
    t.equal(hex(result), hex(digestOf(name, Buffer.from('hello'))), name)
  }
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
