// The seams of replicated partitions: what a host of replicas needs of the coordinator and of other hosts, and what it
// gives to those who serve a partition. Protocol: docs/formats/replication.md.
import type { LogPosition, PartitionLog } from '../../metadata/log/contract.ts'
import type { LogEntry } from '../../metadata/log/entry.ts'
import type { Decision, ReplicaId } from '../../metadata/replication/decision.ts'

/** What the coordinator decided of every partition, as last heard: perhaps not the latest. */
export interface Decisions {
  /** Undefined for a partition that has no primary yet, or that nobody knows. */
  get(partition: number): Decision | undefined
  /**
   * The epoch in which nobody leads the partition, since a recovery began with it; undefined when that is not so. What replicas of
   * it promised to a primary before counts no more.
   */
  fenceOf(partition: number): number | undefined
  /** Calls back when another decision of a partition was heard; returns how to stop. */
  watch(listener: (partition: number) => void): () => void
  /**
   * One attempt to change `from` into `to`. What came of it is seen by get() and watch(), which know it when this resolves. Rejects when
   * nobody knows, or the coordinator is away: whoever still wants it tries again later.
   */
  decide(partition: number, from: Decision, to: Decision): Promise<void>
}

/** A row as its partition has it. */
export interface CopiedRow {
  key: Uint8Array
  value: Uint8Array
}

/** Some rows of a replica, in order of their keys. */
export interface RowsPage {
  /** All pages of one copy are of the same position. */
  position: LogPosition
  rows: readonly CopiedRow[]
}

/**
 * How it is with a replica that is to be on a drive. `gone`: the drive is open, and does not have it. `closed`: nothing is known of it,
 * for the drive is not open. `damaged`: it lost something, or differs from the others.
 */
export type ReplicaStanding =
  /** `end`: of its log, whether that was committed or not. */
  | { kind: 'lives'; end: LogPosition }
  /** It lives and votes, and its log is whole; its rows are to be made anew from those of another one. */
  | { kind: 'suspect' }
  | { kind: 'damaged' }
  | { kind: 'gone' }
  | { kind: 'closed' }

/** Some entries of what is left of the log of a replica, in order of their sequences. */
export interface LeftLogPage {
  /** Whether nothing of it is known to be lost: what the last page says. */
  isWhole: boolean
  entries: readonly LogEntry[]
}

/** Ways to the hosts of other replicas. */
export interface ReplicaTransport {
  /** Never blocks and never throws: what can not be sent is lost, as any message may be. */
  send(to: ReplicaId, bytes: Uint8Array): void
  /**
   * All rows of a replica as of one position. At least one page, which may be empty; it ends after the last one, and throws when there may be
   * more that do not come.
   */
  copyRows(source: ReplicaId, partition: number, signal: AbortSignal): AsyncIterable<RowsPage>
  /** The replica of a partition on the drive of another node: the one that lives there, or a new one, durable and empty, that counts for nothing. */
  prepare(driveId: number, partition: number): Promise<ReplicaId>
  /** Whether a replica on another node lives. Rejects when nobody knows. */
  lives(replica: ReplicaId, partition: number): Promise<boolean>
}

/** The log of a partition that is served here. */
export interface ReignLog extends PartitionLog {
  /**
   * Resolves when surely nobody else was primary after the call, and rows show everything that was acknowledged before it.
   * Rejects with MetadataUnavailable.
   */
  confirm(): Promise<void>
}

/** A time in which this host serves a partition. It never comes back: the next one is another. */
export interface Reigning {
  partition: number
  /** That of the log, which grows with every reign. */
  epoch: number
  log: ReignLog
  /** Aborts when the reign is over. What was appended and not acknowledged by then rejects. */
  ended: AbortSignal
  /** Where the replicas are wanted. One that is not there yet is made with ReplicasOfNode.make() before. */
  want(replicas: readonly ReplicaId[]): void
  /**
   * Asks the coordinator to let the first of these lead instead that counts and lacks little or nothing. False when there is none. This
   * reign ends when that was decided, and goes on when it was not.
   */
  handOver(heirs: readonly ReplicaId[]): boolean
}

/** How a replica does, for a status. */
export interface ReplicaStatus {
  partition: number
  replica: ReplicaId
  role: 'primary' | 'replica' | 'learner'
  /** Whether it is primary and ready to be asked. */
  isServing: boolean
  epoch: number
  /** Rows hold everything up to here. */
  applied: number
}

/** What others need of a host of replicas. Opened and closed by ReplicaHost. */
export interface ReplicasOfNode {
  /** A message of another host. Never throws: what is no message is thrown away. */
  receive(bytes: Uint8Array): void
  /** The other side of ReplicaTransport.copyRows(). */
  serveRows(source: ReplicaId, partition: number, signal: AbortSignal): AsyncIterable<RowsPage>
  /** The other side of ReplicaTransport.prepare(). */
  prepare(driveId: number, partition: number): Promise<ReplicaId>
  /** The other side of ReplicaTransport.lives(). */
  lives(replica: ReplicaId, partition: number): boolean
  /** The replica of a partition on a drive, here or on another node: the one that lives there, or a new one. */
  make(driveId: number, partition: number): Promise<ReplicaId>
  /** Whether the metadata of a drive is open here. */
  hasDrive(driveId: number): boolean
  /** Calls back for every reign that is ready to serve, at once for those that are; returns how to stop. */
  onReign(listener: (reign: Reigning) => void): () => void
  /** Every replica that lives here. */
  replicas(): ReplicaStatus[]
  /** The drive is lost: its replicas are gone for ever. Resolves when none of them answers any more. */
  driveFailed(driveId: number): Promise<void>
}
