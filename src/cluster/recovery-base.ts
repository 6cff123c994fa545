// What a lost partition is made again from, before shards add what came later: the replica, or the dump, that goes furthest.
import type { Log } from '../kit/log.ts'
import type { LogPosition } from '../metadata/log/contract.ts'
import { RowTable } from '../metadata/rebuild/row-table.ts'
import { comparePositions } from '../metadata/replication/log-tail.ts'
import { decodeClockRow } from '../metadata/rows/clock-row.ts'
import { CLOCK_KEY } from '../metadata/rows/keys.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import { NodeFailed } from '../storage-node/rpc/trouble.ts'
import { type LostPartition, survivorsOf } from './lost-partitions.ts'

/** Where rows can be had, and up to where they go. */
export interface Source {
  kind: 'replica' | 'dump'
  position: LogPosition
  /** Of a dump: when it was taken. */
  takenMs?: number
  read: () => Promise<RowTable>
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
  log: Log
  recovery: Pick<RemoteRecovery, 'dumps' | 'readDump' | 'readReplica'>
}

/** All of a partition on these nodes, the one that goes furthest first; of equals the replica, which has nothing to be guessed. */
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
      return { kind: 'replica', position: end, read }
    })
  const sources = [...replicas, ...(await findDumps(partition, nodes, parts))]
  return sources.sort((left, right) => comparePositions(right.position, left.position))
}

/** The first of these that can be read to its end. */
export async function readBase(
  partition: number,
  sources: readonly Source[],
  { log }: Pick<SourceParts, 'log'>,
): Promise<Base | undefined> {
  for (const { kind, position, takenMs, read } of sources) {
    try {
      const rows = await read()
      return { kind, position, takenMs: takenMs ?? timeOf(rows), rows }
    } catch (error) {
      if (!(error instanceof NodeFailed)) throw error
      log.warn(
        { partition, kind, position, error: String(error) },
        'not readable: another is taken',
      )
    }
  }
  return undefined
}

async function findDumps(
  partition: number,
  nodes: readonly string[],
  { recovery, log }: SourceParts,
): Promise<Source[]> {
  const found: Source[] = []
  for (const node of nodes) {
    for (const takenMs of await recovery.dumps(node, partition)) {
      const read = () => readDump(node, { partition, takenMs }, recovery)
      const position = await headOf(recovery.readDump(node, partition, takenMs))
      if (position === undefined) log.warn({ partition, node, takenMs }, 'a dump is damaged')
      else found.push({ kind: 'dump', position, takenMs, read })
    }
  }
  return found
}

/** Undefined for one whose beginning is damaged already. */
async function headOf(
  pages: AsyncIterable<{ position: LogPosition }>,
): Promise<LogPosition | undefined> {
  try {
    for await (const { position } of pages) return position
  } catch (error) {
    if (!(error instanceof NodeFailed)) throw error
  }
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
