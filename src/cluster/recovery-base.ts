// What a lost partition is made again from, before shards add what came later: the replica, or the dump, that goes furthest.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { LogPosition } from '../metadata/log/contract.ts'
import { RowTable } from '../metadata/rebuild/row-table.ts'
import type { ReplicaId } from '../metadata/replication/decision.ts'
import { comparePositions } from '../metadata/replication/log-tail.ts'
import { decodeClockRow } from '../metadata/rows/clock-row.ts'
import { CLOCK_KEY } from '../metadata/rows/keys.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import { type LostPartition, survivorsOf } from './lost-partitions.ts'
import { readWithPatience, type Unreadable } from './read-with-patience.ts'

/** Where rows can be had, and up to where they go. */
export interface Source {
  kind: 'replica' | 'dump'
  position: LogPosition
  /** Of a dump: when it was taken. */
  takenMs?: number
  read: () => Promise<RowTable>
  /** What its node says of it after it could not be read. */
  ask: () => Promise<Unreadable>
}

/** Rows of which all that is newer has to come from shards. */
export interface Base {
  kind: Source['kind']
  position: LogPosition
  /** When the rows were as they are: that of the dump, or the time of the last command in them. */
  takenMs: number
  rows: RowTable
}

export interface SourceParts {
  world: Pick<World, 'clock'>
  log: Log
  recovery: Pick<RemoteRecovery, 'standings' | 'dumps' | 'readDump' | 'readReplica'>
}

/**
 * All of a partition on these nodes, the one that goes furthest first; of equals the replica, which has nothing to be guessed. Throws
 * NotReadableNow when a node does not say what it has.
 */
export async function findSources(
  lost: LostPartition,
  nodes: readonly string[],
  parts: SourceParts,
): Promise<Source[]> {
  const { partition } = lost
  const replicas = survivorsOf(lost)
    .filter(({ end }) => end.sequence > 0)
    .map(({ node, replica, end }): Source => {
      const read = () => readAll(parts.recovery.readReplica(node, partition, replica))
      const ask = () => askOfReplica({ partition, node, replica }, parts.recovery)
      return { kind: 'replica', position: end, read, ask }
    })
  const sources = [...replicas, ...(await findDumps(partition, nodes, parts))]
  return sources.sort((left, right) => comparePositions(right.position, left.position))
}

/**
 * The first of these that can be read to its end. The next one is taken only where the node says that one is not to be had any more; throws
 * NotReadableNow where that stays open, for what only that one has would be lost.
 */
export async function readBase(
  partition: number,
  sources: readonly Source[],
  parts: Pick<SourceParts, 'log' | 'world'>,
): Promise<Base | undefined> {
  for (const { kind, position, takenMs, read, ask } of sources) {
    const rows = await readWithPatience({ read, ask }, parts)
    if (rows !== undefined) return { kind, position, takenMs: takenMs ?? timeOf(rows), rows }
    parts.log.warn({ partition, kind, position }, 'not to be had any more: another is taken')
  }
  return undefined
}

async function askOfReplica(
  { partition, node, replica }: { partition: number; node: string; replica: ReplicaId },
  recovery: SourceParts['recovery'],
): Promise<Unreadable> {
  const [standing] = await recovery.standings(node, partition, [replica])
  const { kind } = standing ?? { kind: 'closed' }
  return kind === 'gone' || kind === 'damaged' || kind === 'suspect' ? 'lost' : 'open'
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
      const read = () => readDump(node, { partition, takenMs }, recovery)
      // One that is there and can not be read is damaged, unless its drive is only being opened.
      const ask = async (): Promise<Unreadable> =>
        (await list()).includes(takenMs) ? 'damaged' : 'open'
      const readHead = () => headOf(recovery.readDump(node, partition, takenMs))
      const position = await readWithPatience({ read: readHead, ask }, parts)
      if (position === undefined) log.warn({ partition, node, takenMs }, 'a dump is damaged')
      else found.push({ kind: 'dump', position, takenMs, read, ask })
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

async function readDump(
  node: string,
  { partition, takenMs }: { partition: number; takenMs: number },
  recovery: SourceParts['recovery'],
): Promise<RowTable> {
  const rows = new RowTable()
  for await (const page of recovery.readDump(node, partition, takenMs))
    for (const { key, value } of page.rows) rows.put(key, value)
  return rows
}

async function readAll(pages: ReturnType<RemoteRecovery['readReplica']>): Promise<RowTable> {
  const rows = new RowTable()
  for await (const { changes } of pages) {
    for (const { key, value } of changes) {
      if (value === undefined) rows.delete(key)
      else rows.put(key, value)
    }
  }
  return rows
}

/** Of the last command: what was written before it and has no row was garbage, or is as old as what was refused. */
function timeOf(rows: RowTable): number {
  const clock = rows.get(CLOCK_KEY)
  return clock === undefined ? 0 : Number(decodeClockRow(clock) >> 16n)
}
