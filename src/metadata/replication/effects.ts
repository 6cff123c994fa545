// What the replication protocol asks of the world around it, and the limits it keeps.
import { mebibytes } from '../../kit/bytes.ts'
import type { LogPosition } from '../log/contract.ts'
import type { LogEntry } from '../log/entry.ts'
import type { Decision, ReplicaId } from './decision.ts'
import type { Message } from './message.ts'

/** One thing to keep on the drive. */
export type DiskChange =
  | { kind: 'promise'; epoch: number; to: ReplicaId }
  | { kind: 'decision'; decision: Decision }
  /** What the log holds from the first of these on is replaced by them: the last written wins, not the highest epoch. */
  | { kind: 'entries'; entries: readonly LogEntry[] }
  /** The rows that were copied take the place of the rows, in one step. `keepsTail`: entries after it stay. */
  | { kind: 'rows'; copy: number; position: LogPosition; keepsTail: boolean }

/** What is to be done, in this order. */
export type Effect =
  | { kind: 'send'; to: ReplicaId; message: Message }
  /** Writes become durable in the order of their numbers; each is reported by `durable(number)`. */
  | { kind: 'write'; number: number; changes: readonly DiskChange[] }
  /** Apply to the rows: committed, durable here, in order, each once in a life of the process. Then rowsReached(). */
  | { kind: 'apply'; entries: readonly LogEntry[] }
  /** Rows show everything that was acknowledged before this read was asked. */
  | { kind: 'read-ready'; read: number }
  /** The partition may be written and read here: rows hold everything up to now. */
  | { kind: 'serving'; epoch: number }
  /** No more: reads that wait get no answer, the fate of entries that wait will be seen when they are applied, or never. */
  | { kind: 'deposed'; epoch: number }
  /** Compare-and-swap in the coordinator; then, or at any time, observe() what it says. */
  | { kind: 'decide'; from: Decision; to: Decision }
  /** Copy the rows of another replica as of one position, make them durable beside the own ones, then rowsCopied(). */
  | { kind: 'copy-rows'; source: ReplicaId }

/** Hands an effect on. */
export type Emit = (effect: Effect) => void

/** What is durable when a replica begins. */
export interface DurableState {
  promised: number
  /** To whom; undefined where that was not kept. */
  promisedTo: ReplicaId | undefined
  /** Rows surely hold everything up to here. */
  base: LogPosition
  /** The log after the base, as far as it is intact and without a gap. */
  entries: readonly LogEntry[]
  decision: Decision | undefined
}

/** A replica that was never written. */
export const NEW_REPLICA: DurableState = {
  promised: 0,
  promisedTo: undefined,
  base: { epoch: 0, sequence: 0 },
  entries: [],
  decision: undefined,
}

/** Every queue has an end. Times are in ticks: none of them is part of an argument for safety. */
export interface Limits {
  /** Of batches in one message, but one entry always fits. */
  messageBytes: number
  messageEntries: number
  /** Sent to one replica and not acknowledged. */
  windowEntries: number
  windowBytes: number
  /** Proposed and not committed. */
  pendingEntries: number
  pendingBytes: number
  /** Committed, and not in the rows yet: a replica with more takes nothing new from a primary. */
  unappliedEntries: number
  unappliedBytes: number
  /** Kept in memory for those who lack them, when rows have them already. */
  retainEntries: number
  retainBytes: number
  /** As much more is kept while somebody lacks it who is heard: rows are copied there, which takes its time, or it is slow. */
  lackedEntries: number
  lackedBytes: number
  /** Reads that wait for a round. */
  readsMax: number
  /** Answers that wait for the drive. */
  answersMax: number
  /** A learner that lacks no more than this is made a replica. */
  learnedEntries: number
  /** What is not answered is sent again. */
  resendTicks: number
  /** Without a sign of the primary for so long, it is doubted; up to `jitterTicks` more, at random. */
  suspectTicks: number
  jitterTicks: number
  /** A log or a majority that takes longer makes a primary unsteady. */
  lateTicks: number
  /** So do rows that take nothing of what waits for them in such a time: LevelDB makes writers wait while it compacts. */
  rowsLateTicks: number
  /** A compare-and-swap without an outcome is tried again. */
  decideTicks: number
}

/** For ticks of 500 ms. */
export const USUAL_LIMITS: Limits = {
  messageBytes: mebibytes(1),
  messageEntries: 1024,
  windowEntries: 4096,
  windowBytes: mebibytes(4),
  pendingEntries: 4096,
  pendingBytes: mebibytes(16),
  unappliedEntries: 65_536,
  unappliedBytes: mebibytes(16),
  retainEntries: 16_384,
  retainBytes: mebibytes(4),
  // What rows that are made anew remember as well (RowsRenewal).
  lackedEntries: 131_072,
  lackedBytes: mebibytes(32),
  readsMax: 4096,
  answersMax: 1024,
  learnedEntries: 256,
  resendTicks: 2,
  suspectTicks: 6,
  jitterTicks: 2,
  lateTicks: 6,
  rowsLateTicks: 20,
  decideTicks: 4,
}
