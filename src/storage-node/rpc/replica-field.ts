// The name of a replica as a field of a message.
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import { parseReplicaId } from '../../metadata/replication/replica-id.ts'
import type { FieldReader } from './fields.ts'
import { BadMessage } from './trouble.ts'

/** Throws BadMessage where the next field is no such name. */
export function readReplica(fields: FieldReader): ReplicaId {
  const text = fields.text()
  if (parseReplicaId(text) === undefined) throw new BadMessage('no name of a replica')
  return text as ReplicaId
}
