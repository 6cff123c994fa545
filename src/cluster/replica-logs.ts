// What the logs of all replicas of a lost partition still have, also of those that are damaged or whose rows are not trusted, and what of it leads
// on from rows that are to be had.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { LogPosition } from '../metadata/log/contract.ts'
import { type LogEntry, nameOfPosition } from '../metadata/log/entry.ts'
import { type LeftLog, leadOn } from '../metadata/replication/left-logs.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import { type LostPartition, type SeenReplica, standingOf } from './lost-partitions.ts'
import { readWithPatience, type Unreadable } from './read-with-patience.ts'

/** What was done with the log of a replica that does not live. */
export interface LogUse {
  replica: string
  /** Entries of it that were applied and that no replica has that lives. */
  gained: number
  /** Entries of it behind the last one that was applied: what leads to them is nowhere, or others took their place. */
  unused: number
  /** False where it lost something, or could not be read. */
  isWhole: boolean
}

/** What logs have behind the rows of a base. */
export interface Replay {
  /** How many entries of logs are applied to the rows. */
  replayed: number
  /** The sequence of the last of them, or that of the rows. */
  end: number
  /** Up to this sequence entries were acknowledged, by what logs say, and those behind `end` are in none that can be read. Absent: none is missing. */
  acknowledgedEnd?: number
  /** Of replicas that do not live and of which there is a log. */
  logs: LogUse[]
}

/** Entries that follow a position, and what is to be said of them. */
export interface FoundEntries {
  entries: readonly LogEntry[]
  /** No sequence that was seen is above this one. */
  known: number
  replay: Replay
}

/** The nodes that logs are read from; by `clock` those are waited for that may be restarting (read-with-patience.ts). */
export interface ReplicaLogsParts {
  world: Pick<World, 'clock'>
  log: Log
  recovery: Pick<RemoteRecovery, 'standings' | 'readLog'>
}

interface ReplicaLog extends LeftLog<LogEntry> {
  seen: SeenReplica
}

/** All that leads on from `from`, which is committed. Throws NotReadableNow where the log of one that lives can not be read. */
export async function findEntries(
  lost: LostPartition,
  from: LogPosition,
  parts: ReplicaLogsParts,
): Promise<FoundEntries> {
  const logs = await Promise.all(
    lost.replicas.map((seen) => readLog(lost.partition, { seen, after: from.sequence }, parts)),
  )
  const found = logs.filter((log) => log !== undefined)
  const { entries, committed } = leadOn(from, found)
  const end = entries.at(-1)?.sequence ?? from.sequence
  const sequences = found.flatMap(({ entries: own }) => own.at(-1)?.sequence ?? 0)
  return {
    entries,
    known: Math.max(end, committed, ...sequences),
    replay: {
      ...{ replayed: entries.length, end },
      ...(committed > end ? { acknowledgedEnd: committed } : {}),
      logs: usesOf(found, { entries, end }),
    },
  }
}

/** Undefined where there is nothing to be read: its drive is given up. */
async function readLog(
  partition: number,
  { seen, after }: { seen: SeenReplica; after: number },
  parts: ReplicaLogsParts,
): Promise<ReplicaLog | undefined> {
  const { replica, node, standing } = seen
  if (node === undefined || standing.kind === 'closed') return undefined
  const { recovery, log } = parts
  const read = async (): Promise<ReplicaLog> => {
    const entries: LogEntry[] = []
    let isWhole = false
    for await (const page of recovery.readLog(node, { replica, after })) {
      isWhole = page.isWhole
      entries.push(...page.entries)
    }
    return { seen, isWhole, entries }
  }
  // Of one that does not live, what can not be read for long is lost as well.
  const ask = async (): Promise<Unreadable> => {
    const { kind } = await standingOf({ partition, node, replica }, recovery)
    return kind === 'lives' || kind === 'closed' ? 'open' : 'damaged'
  }
  const found = await readWithPatience({ read, ask }, parts)
  if (found !== undefined) return found
  log.warn({ partition, replica, node }, 'the log of a replica can not be read')
  return { seen, isWhole: false, entries: [] }
}

function usesOf(
  logs: readonly ReplicaLog[],
  { entries, end }: { entries: readonly LogEntry[]; end: number },
): LogUse[] {
  const lives = ({ seen }: ReplicaLog): boolean => seen.standing.kind === 'lives'
  const known = new Set(logs.filter(lives).flatMap((log) => log.entries.map(nameOfPosition)))
  const gained = new Set(entries.map(nameOfPosition).filter((name) => !known.has(name)))
  return logs.flatMap((log): LogUse[] => {
    if (lives(log) || (log.entries.length === 0 && log.isWhole)) return []
    return [
      {
        replica: log.seen.replica,
        gained: log.entries.filter((entry) => gained.has(nameOfPosition(entry))).length,
        unused: log.entries.filter(({ sequence }) => sequence > end).length,
        isWhole: log.isWhole,
      },
    ]
  })
}
