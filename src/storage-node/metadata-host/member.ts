// A replica of a partition on a drive of this process, as the partition sees it.
import type { ReplicaState } from '../../metadata/log/replica.ts'
import type { Replica } from '../../placement/coordinator.ts'
import type { Departure } from './departure.ts'
import type { HostDrive } from './drive.ts'

/** A replica of this partition on a drive of this process. */
export interface Member {
  readonly driveId: number
  readonly incarnation: string
  readonly host: HostDrive
  /**
   * A voter counts in the in-sync set. A learner gets everything, does not count and may leave at any time. One that is
   * joining may count at any moment, as the coordinator was asked for it: nothing is committed without it, and it leaves
   * only by a decision.
   */
  role: 'voter' | 'joining' | 'learner'
  /** What its log was given. */
  sent: ReplicaState
  /** Its log holds everything up to this sequence. */
  durable: number
  /** False once its rows could not be changed or read: they may lack something. */
  readable: boolean
  /** True while its rows are opened again: nobody reads them, and what is applied waits. */
  paused: boolean
  readonly departure: Departure
}

/** Whether its rows are all there and can be read. */
export function isReader({ role, readable, paused, host }: Member): boolean {
  return role === 'voter' && readable && !paused && host.drive.failure === undefined
}

/** Whether it is the one that the coordinator means. */
export function isReplica(replica: Replica, member: Member): boolean {
  return replica.driveId === member.driveId && replica.incarnation === member.incarnation
}
