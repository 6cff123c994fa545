// What a lost partition is made again from, before shards add what came later: the rows, of a replica that lives or of a dump, that go
// furthest, and behind them what any replica has in its log.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { LogPosition, RowBatch } from '../metadata/log/contract.ts'
import { BEGINNING, decodeBatch } from '../metadata/log/entry.ts'
import { RowTable } from '../metadata/rebuild/row-table.ts'
import { comparePositions } from '../metadata/replication/log-tail.ts'
import { decodeClockRow } from '../metadata/rows/clock-row.ts'
import { CLOCK_KEY } from '../metadata/rows/keys.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import type { RowsPage } from '../storage-node/replicated/contract.ts'
import { type LostPartition, type Survivor, standingOf, survivorsOf } from './lost-partitions.ts'
import { readWithPatience, type Unreadable } from './read-with-patience.ts'
import { findEntries, type Replay } from './replica-logs.ts'

/** Rows as of a position. */
interface RowsAt {
  position: LogPosition
  rows: RowTable
}

/** Where rows can be had, and up to where they go: that was committed. */
export interface Source {
  /** `nothing`: no rows at all, for logs that go back to the first entry. */
  kind: 'replica' | 'dump' | 'nothing'
  position: LogPosition
  /** Of a dump: when it was taken. */
  takenMs?: number
  /** They may have gone on meanwhile. */
  read: () => Promise<RowsAt>
  /** What its node says of it after it could not be read. */
  ask: () => Promise<Unreadable>
}

/** A source, and what logs have behind it. */
export interface Planned extends Pick<Source, 'kind' | 'position' | 'takenMs'> {
  replay: Replay
}

/** Rows of which all that is newer has to come from shards. */
export interface Base extends Planned {
  /** When the rows were as they are: that of the dump, or the time of the last command in them. */
  rowsMs: number
  rows: RowTable
  /** No sequence that was seen of the partition is above this one. */
  known: number
}

/** The nodes that rows are read from; by `clock` those are waited for that may be restarting (read-with-patience.ts). */
export interface SourceParts {
  world: Pick<World, 'clock'>
  log: Log
  recovery: Pick<RemoteRecovery, 'standings' | 'dumps' | 'readDump' | 'readReplica' | 'readLog'>
}

/**
 * All rows of a partition on these nodes, those that go furthest first; of equals the replica's, which have nothing to be guessed. All of them
 * were committed, so the first ones have all that the others have. Throws NotReadableNow when a node does not say what it has.
 */
export async function findSources(
  lost: LostPartition,
  nodes: readonly string[],
  parts: SourceParts,
): Promise<Source[]> {
  const sources: Source[] = []
  for (const survivor of survivorsOf(lost)) {
    if (survivor.end.sequence === 0) continue
    const found = await findRows(lost.partition, survivor, parts)
    if (found !== undefined) sources.push(found)
  }
  sources.push(...(await findDumps(lost.partition, nodes, parts)))
  sources.sort((left, right) => comparePositions(right.position, left.position))
  return [...sources, NOTHING]
}

const NOTHING: Source = {
  ...{ kind: 'nothing', position: BEGINNING },
  read: async () => ({ position: BEGINNING, rows: new RowTable() }),
  ask: async () => 'lost',
}

/** The first source, without its rows. */
export async function planBase(
  lost: LostPartition,
  [source = NOTHING]: readonly Source[],
  parts: SourceParts,
): Promise<Planned> {
  const { replay } = await findEntries(lost, source.position, parts)
  return { ...source, replay }
}

/**
 * The first of these that can be read to its end, and what follows it. The next one is taken only where the node says that one is not to be had any
 * more; throws NotReadableNow where that stays open, for what only that one has would be lost.
 */
export async function readBase(
  lost: LostPartition,
  sources: readonly Source[],
  parts: SourceParts,
): Promise<Base> {
  const { partition } = lost
  for (const source of sources) {
    const { kind, position, takenMs, read, ask } = source
    const found = await readWithPatience({ read, ask }, parts)
    if (found === undefined) {
      parts.log.warn({ partition, kind, position }, 'not to be had any more: another is taken')
      continue
    }
    const { rows } = found
    const { entries, known, replay } = await findEntries(lost, found.position, parts)
    for (const { batch } of entries) applyTo(rows, decodeBatch(batch))
    const isAsTaken = takenMs !== undefined && entries.length === 0
    const rowsMs = isAsTaken ? takenMs : Math.max(takenMs ?? 0, timeOf(rows))
    return { ...source, position: found.position, replay, rowsMs, rows, known }
  }
  throw new Error('rows can always be made of nothing')
}

async function findRows(
  partition: number,
  { node, replica }: Survivor,
  parts: SourceParts,
): Promise<Source | undefined> {
  const { recovery, log } = parts
  const pages = () => recovery.readReplica(node, partition, replica)
  const ask = async (): Promise<Unreadable> => {
    const { kind } = await standingOf({ partition, node, replica }, recovery)
    return kind === 'gone' || kind === 'damaged' || kind === 'suspect' ? 'lost' : 'open'
  }
  const position = await readWithPatience({ read: () => headOf(pages()), ask }, parts)
  if (position !== undefined)
    return { kind: 'replica', position, read: () => readRows(pages()), ask }
  log.warn({ partition, node, replica }, 'the rows of a replica are not to be had any more')
  return undefined
}

async function findDumps(
  partition: number,
  nodes: readonly string[],
  parts: SourceParts,
): Promise<Source[]> {
  const { recovery, log } = parts
  const found: Source[] = []
  for (const node of nodes) {
    const list = () => recovery.dumps(node, partition)
    for (const takenMs of (await readWithPatience({ read: list }, parts)) ?? []) {
      const pages = () => recovery.readDump(node, partition, takenMs)
      // One that is there and can not be read is damaged, unless its drive is only being opened.
      const ask = async (): Promise<Unreadable> =>
        (await list()).includes(takenMs) ? 'damaged' : 'open'
      const position = await readWithPatience({ read: () => headOf(pages()), ask }, parts)
      if (position === undefined) log.warn({ partition, node, takenMs }, 'a dump is damaged')
      else found.push({ kind: 'dump', position, takenMs, read: () => readRows(pages()), ask })
    }
  }
  return found
}

/** Undefined for one without any page. */
async function headOf(
  pages: AsyncIterable<{ position: LogPosition }>,
): Promise<LogPosition | undefined> {
  for await (const { position } of pages) return position
  return undefined
}

async function readRows(pages: AsyncIterable<RowsPage>): Promise<RowsAt> {
  const rows = new RowTable()
  let position = BEGINNING
  for await (const page of pages) {
    position = page.position
    for (const { key, value } of page.rows) rows.put(key, value)
  }
  return { position, rows }
}

function applyTo(rows: RowTable, changes: RowBatch): void {
  for (const { key, value } of changes) {
    if (value === undefined) rows.delete(key)
    else rows.put(key, value)
  }
}

/** Of the last command: what was written before it and has no row was garbage, or is as old as what was refused. */
function timeOf(rows: RowTable): number {
  const clock = rows.get(CLOCK_KEY)
  return clock === undefined ? 0 : Number(decodeClockRow(clock) >> 16n)
}
