// How fast digests are, on one core and in CPU time, over buffers as a body brings them, beside a copy of the same
// bytes: the copy says what the memory of this machine gives, so only the ratio travels between machines.
import { createHash } from 'node:crypto'
import { type DigestName, newDigest, prepareDigests } from '../src/digest/digest.ts'
import { xxh64 } from '../src/digest/xxh64.ts'
import { kibibytes, mebibytes } from '../src/kit/bytes.ts'
import { type MeasureOptions, median, printLine, rateOf, round } from './measure.ts'

/** One line of the result. Rates are 1e9 bytes in a second of CPU time. */
export interface DigestRow {
  /** A name of DigestName; `node:crypto …` and `xxh64 of cells` are there to compare with. */
  digest: string
  chunkBytes: number
  gigabytesPerSecond: number
  copyGigabytesPerSecond: number
  /** The former divided by the latter. */
  ofCopy: number
}

const NAMES: readonly DigestName[] = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'XXHASH64',
  'XXHASH3',
  'XXHASH128',
  'MD5',
  'SHA1',
  'SHA256',
  'SHA512',
]

/** What a socket brings at once, and what the store keeps of a stripe. */
const CHUNKS = [kibibytes(64), mebibytes(1)] as const

/** So much goes into one digest, as an object of that size has one. */
const OBJECT_BYTES = mebibytes(8)

/** Measures everything and prints a line each. */
export async function benchDigests(options: Partial<MeasureOptions> = {}): Promise<DigestRow[]> {
  const { roundMs = 80, rounds = 5, print = printLine } = options
  await prepareDigests()
  const object = Uint8Array.from({ length: OBJECT_BYTES }, (_, index) => (index * 167) >>> 3)
  const rows: DigestRow[] = []
  for (const chunkBytes of CHUNKS) {
    const chunks = cut(object, chunkBytes)
    for (const [digest, work] of candidates(chunks)) {
      const row = { digest, chunkBytes, ...compare(work, copyOf(chunks), { roundMs, rounds }) }
      rows.push(row)
      print(describeRow(row))
    }
  }
  return rows
}

function cut(object: Uint8Array, chunkBytes: number): Uint8Array[] {
  const count = object.length / chunkBytes
  return Array.from({ length: count }, (_, index) =>
    object.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  )
}

/** Every digest of one object, by name. */
function candidates(chunks: readonly Uint8Array[]): [string, () => void][] {
  const ours = NAMES.map((name): [string, () => void] => [
    name,
    () => {
      const digest = newDigest(name)
      for (const chunk of chunks) digest.update(chunk)
      digest.digest()
    },
  ])
  const openssl = ['md5', 'sha1', 'sha256', 'sha512'].map((name): [string, () => void] => [
    `node:crypto ${name}`,
    () => {
      const hash = createHash(name)
      for (const chunk of chunks) hash.update(chunk)
      hash.digest()
    },
  ])
  const cells = (): void => {
    for (const chunk of chunks) xxh64(chunk)
  }
  return [...ours, ...openssl, ['xxh64 of cells', cells]]
}

function copyOf(chunks: readonly Uint8Array[]): () => void {
  const target = new Uint8Array(OBJECT_BYTES)
  return () => {
    let at = 0
    for (const chunk of chunks) {
      target.set(chunk, at)
      at += chunk.length
    }
  }
}

function compare(
  work: () => void,
  copy: () => void,
  { roundMs, rounds }: { roundMs: number; rounds: number },
): Pick<DigestRow, 'gigabytesPerSecond' | 'copyGigabytesPerSecond' | 'ofCopy'> {
  // The engine compiles WebAssembly better once it has run for a while.
  rateOf(work, OBJECT_BYTES, roundMs)
  const pairs = Array.from({ length: rounds }, () => ({
    work: rateOf(work, OBJECT_BYTES, roundMs),
    copy: rateOf(copy, OBJECT_BYTES, roundMs / 4),
  }))
  return {
    gigabytesPerSecond: round(median(pairs.map((pair) => pair.work))),
    copyGigabytesPerSecond: round(median(pairs.map((pair) => pair.copy))),
    ofCopy: round(median(pairs.map((pair) => pair.work / pair.copy))),
  }
}

function describeRow(row: DigestRow): string {
  const rate = row.gigabytesPerSecond.toFixed(2).padStart(6)
  const copy = row.copyGigabytesPerSecond.toFixed(1).padStart(5)
  const share = `${Math.round(row.ofCopy * 100)} %`.padStart(5)
  const chunk = `${row.chunkBytes / 1024} KiB`.padStart(8)
  return `digest ${row.digest.padEnd(18)} ${chunk} ${rate} GB/s per core, copy ${copy} GB/s, ${share} of it`
}
