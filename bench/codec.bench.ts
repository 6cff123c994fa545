// How fast cells are encoded and made again, on one core and in CPU time, beside a copy of the same
// bytes: the copy says what the memory of this machine gives, so only the ratio travels between machines.
import { Codec, type Stripe } from '../src/erasure/codec.ts'
import { kibibytes, mebibytes } from '../src/kit/bytes.ts'
import { CELL_BYTES, type ErasureCode, MatrixId, nameCode } from '../src/kit/erasure-code.ts'
import { type MeasureOptions, median, printLine, round } from './measure.ts'

/** One line of the result. Rates are 1e9 bytes of data (not parity) in a second of CPU time. */
export interface CodecRow {
  code: string
  operation: 'encode' | 'one lost' | 'two lost'
  place: 'in cache' | 'out of cache'
  kernel: 'wasm' | 'javascript'
  gigabytesPerSecond: number
  copyGigabytesPerSecond: number
  /** The former divided by the latter. */
  ofCopy: number
}

const SHAPES = [
  [4, 2],
  [8, 3],
  [10, 4],
  [12, 4],
] as const

/** In cache: two stripes of small cells. Out of it: as many real ones as fill far more than any cache. */
const PLACES = [
  { place: 'in cache', cellBytes: kibibytes(16), ringBytes: undefined },
  { place: 'out of cache', cellBytes: CELL_BYTES, ringBytes: mebibytes(384) },
] as const

/** Stripes to go round, so that every call has other bytes before it. */
interface Ring {
  codec: Codec
  code: ErasureCode
  cellBytes: number
  stripes: Stripe[]
}

/** Measures everything and prints a line each. */
export async function benchCodec(options: Partial<MeasureOptions> = {}): Promise<CodecRow[]> {
  const { roundMs = 80, rounds = 5, print = printLine } = options
  const rows: CodecRow[] = []
  for (const { place, cellBytes, ringBytes } of PLACES) {
    for (const [dataCount, parityCount] of SHAPES) {
      const code = { dataCount, parityCount, matrix: MatrixId.CentredVandermonde }
      const ring = await openRing(code, cellBytes, ringBytes)
      for (const operation of ['encode', 'one lost', 'two lost'] as const) {
        const rates = compareRates(ring, operation, { roundMs, rounds })
        const row = { code: nameCode(code), operation, place, kernel: ring.codec.kernel, ...rates }
        rows.push(row)
        print(describeRow(row))
      }
    }
  }
  return rows
}

async function openRing(
  code: ErasureCode,
  cellBytes: number,
  ringBytes: number | undefined,
): Promise<Ring> {
  const maxShards = code.dataCount + code.parityCount
  const twoStripes = 2 * maxShards * (cellBytes + 256)
  const codec = await Codec.open({ maxShards, cellBytes, poolBytes: ringBytes ?? twoStripes })
  const stripes: Stripe[] = []
  while (codec.freeStripes > 0) stripes.push(await codec.acquire())
  for (const [index, { cells }] of stripes.entries()) {
    for (const cell of cells) cell.fill(index + cell.byteOffset)
  }
  return { codec, code, cellBytes, stripes }
}

function compareRates(
  ring: Ring,
  operation: CodecRow['operation'],
  { roundMs, rounds }: { roundMs: number; rounds: number },
): Pick<CodecRow, 'gigabytesPerSecond' | 'copyGigabytesPerSecond' | 'ofCopy'> {
  const work = workOf(ring, operation)
  const copy = (index: number): void => copyStripe(ring, index)
  // The engine compiles kernels better once they have run for a while.
  measure(ring, work, 2 * roundMs)
  measure(ring, copy, roundMs)
  const pairs = Array.from({ length: rounds }, () => ({
    work: measure(ring, work, roundMs),
    copy: measure(ring, copy, roundMs),
  }))
  return {
    gigabytesPerSecond: round(median(pairs.map((pair) => pair.work))),
    copyGigabytesPerSecond: round(median(pairs.map((pair) => pair.copy))),
    ofCopy: round(median(pairs.map((pair) => pair.work / pair.copy))),
  }
}

/** What is done to stripe number `index`. */
function workOf(
  { codec, code, cellBytes, stripes }: Ring,
  operation: CodecRow['operation'],
): (index: number) => void {
  if (operation === 'encode') return (index) => codec.encode(code, stripes[index]!, cellBytes)
  const all = Array.from({ length: code.dataCount + code.parityCount }, (_, index) => index)
  const lost = operation === 'one lost' ? [0] : [0, 1]
  const present = all.filter((shard) => !lost.includes(shard))
  return (index) => codec.reconstruct(code, stripes[index]!, cellBytes, present, lost)
}

/** Copies the data cells of one stripe to the stripe half a ring away. */
function copyStripe({ code, stripes }: Ring, index: number): void {
  const half = Math.floor(stripes.length / 2)
  const source = stripes[index]!.cells
  const target = stripes[(index + half) % stripes.length]!.cells
  for (let cell = 0; cell < code.dataCount; cell += 1) target[cell]!.set(source[cell]!)
}

/** Goes round the ring until `forMs` of CPU time are used; gives the rate. */
function measure(ring: Ring, work: (index: number) => void, forMs: number): number {
  const BATCH = 16
  const start = process.cpuUsage()
  let calls = 0
  let usedUs = 0
  while (usedUs < forMs * 1000) {
    for (let batch = 0; batch < BATCH; batch += 1) work((calls + batch) % ring.stripes.length)
    calls += BATCH
    const { user, system } = process.cpuUsage(start)
    usedUs = user + system
  }
  return (calls * ring.code.dataCount * ring.cellBytes) / (usedUs * 1000)
}

function describeRow(row: CodecRow): string {
  const rate = row.gigabytesPerSecond.toFixed(1).padStart(6)
  const copy = row.copyGigabytesPerSecond.toFixed(1).padStart(6)
  const share = `${Math.round(row.ofCopy * 100)} %`.padStart(6)
  const what = `${row.code.padEnd(5)} ${row.operation.padEnd(8)} ${row.place.padEnd(12)}`
  return `codec ${what} ${rate} GB/s per core, copy ${copy} GB/s, ${share} of it (${row.kernel})`
}
