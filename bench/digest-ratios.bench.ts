// Our digests beside those that others would take: MD5 of four streams by OpenSSL, CRCs by the npm package that is fastest.
import { createHash } from 'node:crypto'
import { createCRC32, createCRC64, type IHasher } from 'hash-wasm'
import { type DigestName, newDigest, prepareDigests } from '../src/digest/digest.ts'
import { kibibytes, mebibytes } from '../src/kit/bytes.ts'
import { median, rateOf } from './measure.ts'
import { type RatioRow, ratio } from './ratios.bench.ts'

const STREAMS = 4
const CHUNK = Buffer.alloc(kibibytes(256), 'kintsugi')
const OBJECT_BYTES = mebibytes(4)
const ROUNDS = 5
const ROUND_MS = 80

const CRC32C_REFLECTED = 0x82f63b78
const CRC64NVME_REFLECTED = '9a6c9329ac4bc9b5'

interface Hash {
  update(bytes: Uint8Array): unknown
}

/** Both sides of each in turn, in CPU time of one core. */
export async function benchDigestRatios(): Promise<RatioRow[]> {
  await prepareDigests()
  const crc32c = await createCRC32(CRC32C_REFLECTED)
  const crc64 = await createCRC64(CRC64NVME_REFLECTED)
  return [
    compare('MD5 of four streams to OpenSSL', STREAMS, {
      ours: () => digestOf('MD5'),
      theirs: () => {
        const hash = createHash('md5')
        return { update: (bytes) => hash.update(bytes), end: () => hash.digest() }
      },
    }),
    compare('CRC32C to hash-wasm', 1, {
      ours: () => digestOf('CRC32C'),
      theirs: () => wasm(crc32c),
    }),
    compare('CRC64NVME to hash-wasm', 1, {
      ours: () => digestOf('CRC64NVME'),
      theirs: () => wasm(crc64),
    }),
  ]
}

type Ended = Hash & { end(): unknown }

function digestOf(name: DigestName): Ended {
  const digest = newDigest(name)
  return { update: (bytes) => digest.update(bytes), end: () => digest.digest() }
}

function wasm(hasher: IHasher): Ended {
  hasher.init()
  return { update: (bytes) => hasher.update(bytes), end: () => hasher.digest('binary') }
}

function compare(
  name: string,
  streams: number,
  { ours, theirs }: { ours: () => Ended; theirs: () => Ended },
): RatioRow {
  const rate = (open: () => Ended): number =>
    rateOf(() => hashAll(Array.from({ length: streams }, open)), streams * OBJECT_BYTES, ROUND_MS)
  rate(ours)
  rate(theirs)
  const pairs = Array.from({ length: ROUNDS }, () => [rate(ours), rate(theirs)] as const)
  const best = (side: 0 | 1): number => median(pairs.map((pair) => pair[side]))
  return ratio(name, { atLeast: 2 }, [best(0), best(1)])
}

/** Objects side by side, a chunk of each in turn, as their sockets bring them. */
function hashAll(hashes: readonly Ended[]): void {
  for (let at = 0; at < OBJECT_BYTES; at += CHUNK.length) {
    for (const hash of hashes) hash.update(CHUNK)
  }
  for (const hash of hashes) hash.end()
}
