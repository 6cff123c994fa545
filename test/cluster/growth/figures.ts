// What moves in a cluster of processes, and how little could: by what the nodes count, and by the weights of the drives.
import type { MapView } from '../../../src/gateway/cluster-api.ts'

/** What the nodes that are there have moved and made again since they began, by node. */
export type Counts = ReadonlyMap<string, Record<'moved' | 'mended', number>>

/** What a step moved, and what it had to. */
export interface StepFigures {
  step: string
  seconds: number
  /** Of all shards, when it began. */
  storedBytes: number
  /** The share of it that has to be elsewhere afterwards. */
  leastBytes: number
  movedBytes: number
  /** Written beside, to make again what was lost or came too late. */
  mendedBytes: number
}

const NAMES = {
  moved: 'kintsugi_moves_bytes_total',
  written: 'kintsugi_heal_written_bytes_total',
} as const

/** Asks the admin ports of these nodes. */
export async function countBytes(
  nodes: readonly { id: string; adminPort: number }[],
): Promise<Counts> {
  const asked = nodes.map(async ({ id, adminPort }) => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
    const read = (name: string): number =>
      Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
    const moved = read(NAMES.moved)
    // What moves is written as well.
    return [id, { moved, mended: read(NAMES.written) - moved }] as const
  })
  return new Map(await Promise.all(asked))
}

/** What came since: a node that is new since then counted from nothing, and one that is gone is not there any more. */
export function countedSince(before: Counts, after: Counts, of: 'moved' | 'mended'): number {
  let sum = 0
  for (const [id, counts] of after) sum += counts[of] - (before.get(id)?.[of] ?? 0)
  return sum
}

/** The share of all that has to move from one map to another: what drives are to have that they had not. */
export function leastShare(before: MapView, after: MapView): number {
  const had = new Map(before.drives.map(({ id, slots }) => [id, slots]))
  const total = before.drives.reduce((sum, { slots }) => sum + slots, 0)
  const comes = after.drives.map(({ id, idealSlots }) =>
    Math.max(0, idealSlots - (had.get(id) ?? 0)),
  )
  return comes.reduce((sum, slots) => sum + slots, 0) / total
}

/** Hardly more than has to be. */
export const MOST_EXCESS = 1.3

/** How much more was moved than had to be, over all steps. */
export function excessOf(steps: readonly StepFigures[]): number {
  const sum = (of: (step: StepFigures) => number): number =>
    steps.reduce((total, step) => total + of(step), 0)
  return (
    sum(({ movedBytes, mendedBytes }) => movedBytes + mendedBytes) / sum((one) => one.leastBytes)
  )
}
