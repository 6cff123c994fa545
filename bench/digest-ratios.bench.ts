// Our digests beside those that others would take: MD5 of four streams by OpenSSL, CRCs by the npm package that is fastest.
import { createHash } from 'node:crypto'
import { createCRC32, createCRC64, type IHasher } from 'hash-wasm'
import {
  type Digest,
  type DigestName,
  newDigest,
  newLongMd5,
  prepareDigests,
} from '../src/digest/digest.ts'
import { kibibytes, mebibytes } from '../src/kit/bytes.ts'
import { median, rateOf } from './measure.ts'
import { type RatioRow, ratio } from './ratios.bench.ts'

const STREAMS = 4
/** What a socket brings at once, at most. */
const CHUNK = Buffer.alloc(kibibytes(64), 'kintsugi')
/** Of a body of 8 MiB. */
const CHUNKS = mebibytes(8) / CHUNK.length
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
      ours: () => ended(newLongMd5()),
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
  return ended(newDigest(name))
}

function ended(digest: Digest): Ended {
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
  const rate = (open: () => Ended): number => {
    const bodies = new Bodies(open, streams)
    // Until each of them has begun anew once: then there are always others.
    for (let chunk = 0; chunk < CHUNKS; chunk += 1) bodies.step()
    const found = rateOf(() => bodies.step(), streams * CHUNK.length, ROUND_MS)
    bodies.end()
    return found
  }
  // What V8 compiles at first is not what it runs later.
  for (let round = 0; round < ROUNDS; round += 1) {
    rate(ours)
    rate(theirs)
  }
  const pairs = Array.from({ length: ROUNDS }, () => [rate(ours), rate(theirs)] as const)
  const best = (side: 0 | 1): number => median(pairs.map((pair) => pair[side]))
  return ratio(name, { atLeast: 2 }, [best(0), best(1)])
}

/** Bodies side by side, a chunk of each in turn, as their sockets bring them; they end one after the other, and others begin. */
class Bodies {
  readonly #open: () => Ended
  readonly #bodies: { hash: Ended; left: number }[]

  constructor(open: () => Ended, streams: number) {
    this.#open = open
    this.#bodies = Array.from({ length: streams }, (_, at) => ({
      hash: open(),
      left: CHUNKS - Math.floor((at * CHUNKS) / streams),
    }))
  }

  step(): void {
    for (const body of this.#bodies) {
      body.hash.update(CHUNK)
      body.left -= 1
      if (body.left > 0) continue
      body.hash.end()
      Object.assign(body, { hash: this.#open(), left: CHUNKS })
    }
  }

  end(): void {
    for (const { hash } of this.#bodies) hash.end()
  }
}
