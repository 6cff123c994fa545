// The ratios that hold on any machine, because both sides of each ran in this run: what issue 7 asks for, and what came out.
import { LOADS } from '../src/load/loads.ts'
import type { CodecRow } from './codec.bench.ts'
import { isalVersion, measureIsal } from './isal.ts'
import type { LoadRow } from './loads.bench.ts'
import { printLine, round } from './measure.ts'
import type { SegmentRow } from './segment.bench.ts'

/** One line of the result. */
export interface RatioRow {
  ratio: string
  atLeast?: number
  atMost?: number
  /** Null when it was not measured; `note` says why. */
  measured: number | null
  note?: string
}

/** What other benches of this run found; empty where they did not run. */
export interface Measured {
  codec: readonly CodecRow[]
  segment: readonly SegmentRow[]
  loads: readonly LoadRow[]
}

const SHAPES = [
  [4, 2],
  [8, 3],
  [10, 4],
  [12, 4],
] as const
const MEMORY_MEBIBYTES_MAX = 800

/** Node that has the stronger WebAssembly compiler; before it less is asked. */
const NODE_OF_FULL_SPEED = 26
const isFullSpeed = Number(process.versions.node.split('.')[0]) >= NODE_OF_FULL_SPEED

/** Ratios of what was measured already. */
export function ratiosOf({ codec, segment, loads }: Measured): RatioRow[] {
  const [writer] = segment
  return [
    ...codecRatios(codec),
    ratio('PUT 4 KiB to the segment writer alone', { atLeast: 0.25 }, [
      rateOf(loads, 'embedded', 'put-4k'),
      writer?.perSecond,
    ]),
    ratio('HEAD to a bare node:http hello', { atLeast: 0.6 }, [
      rateOf(loads, 'embedded', 'head'),
      rateOf(loads, 'hello', 'head'),
    ]),
    ...(['put-4k', 'get-4k'] as const).map((load) =>
      ratio(`CPU of ${LOADS[load].title}, two gateway processes to one`, { atMost: 1.15 }, [
        costOf(loads, 'cluster, gateway of 2', load),
        costOf(loads, 'cluster', load),
      ]),
    ),
    memory(loads),
  ]
}

/** One number to another; not measured when either is missing. */
export function ratio(
  name: string,
  wanted: Pick<RatioRow, 'atLeast' | 'atMost'>,
  [one, other]: readonly [number | undefined, number | undefined],
  note?: string,
): RatioRow {
  const row = { ratio: name, ...wanted, ...(note === undefined ? {} : { note }) }
  if (one === undefined || other === undefined) {
    return { ...row, measured: null, note: note ?? 'a side of it was not measured in this run' }
  }
  return { ...row, measured: round(one / other) }
}

/** A line for each. */
export function printRatios(rows: readonly RatioRow[]): void {
  for (const { ratio: name, atLeast, atMost, measured, note } of rows) {
    const least = atLeast === undefined ? '' : `at least ${atLeast}`
    const wanted = atMost === undefined ? least : `at most ${atMost}`
    const isMet =
      measured !== null && measured >= (atLeast ?? 0) && measured <= (atMost ?? measured)
    const verdict = measured === null ? 'not measured' : `${measured} ${isMet ? '' : '(missed)'}`
    printLine(`ratio ${name.padEnd(58)} ${wanted.padEnd(14)} ${verdict}${note ? ` ${note}` : ''}`)
  }
}

function codecRatios(codec: readonly CodecRow[]): RatioRow[] {
  if (codec.length === 0) return []
  const isal = measureIsal(SHAPES)
  const isMissing = typeof isal === 'string'
  const note = isMissing ? isal : `ISA-L ${isalVersion()}`
  return SHAPES.flatMap(([k, m]) =>
    (['encode', 'one lost', 'two lost'] as const).map((operation) => {
      const code = `${k}+${m}`
      const ours = codec.find(
        (row) => row.code === code && row.operation === operation && row.place === 'in cache',
      )
      const theirs = isMissing ? undefined : isal.get(code)?.[operation]
      const wanted = { atLeast: wantedOf(operation, m) }
      const name = `${operation} of ${code} to ISA-L`
      return ratio(name, wanted, [ours?.gigabytesPerSecond, theirs], note)
    }),
  )
}

function wantedOf(operation: CodecRow['operation'], parityCount: number): number {
  if (operation === 'one lost') return 0.7
  if (operation === 'two lost') return 0.55
  if (parityCount < 4) return isFullSpeed ? 1.1 : 0.8
  return isFullSpeed ? 1 : 0.65
}

function memory(loads: readonly LoadRow[]): RatioRow {
  const embedded = loads.filter(({ store }) => store === 'embedded')
  const peaks = embedded.map(({ peakMebibytes }) => peakMebibytes)
  const most = peaks.length === 0 ? undefined : Math.max(...peaks)
  const name = `memory of all processes, embedded, to ${MEMORY_MEBIBYTES_MAX} MiB`
  return ratio(name, { atMost: 1 }, [most, MEMORY_MEBIBYTES_MAX])
}

function rowOf(loads: readonly LoadRow[], store: string, load: string): LoadRow | undefined {
  return loads.find((row) => row.store === store && row.load === load)
}

function rateOf(loads: readonly LoadRow[], store: string, load: string): number | undefined {
  return rowOf(loads, store, load)?.perSecond
}

function costOf(loads: readonly LoadRow[], store: string, load: string): number | undefined {
  return rowOf(loads, store, load)?.cpuMsPerRequest
}
