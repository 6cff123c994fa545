// The name of a replica: its drive and its incarnation, `7-0123456789abcdef`.
import type { ReplicaId } from './decision.ts'

/** What a name says. */
export interface NamedReplica {
  driveId: number
  /** 16 hex digits. */
  incarnation: string
}

/** The name of a replica. */
export function replicaIdOf({ driveId, incarnation }: NamedReplica): ReplicaId {
  return `${driveId}-${incarnation}` as ReplicaId
}

/** What is in a name; undefined for anything else. */
export function parseReplicaId(text: string): NamedReplica | undefined {
  const found = /^([0-9]{1,6})-([0-9a-f]{16})$/.exec(text)
  return found === null ? undefined : { driveId: Number(found[1]), incarnation: found[2]! }
}
