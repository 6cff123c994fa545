// What a replica accepts. No I/O: state and message in, answer and next state out.
// Of one process, where the primary and its replicas are together and only appends happen; those of a cluster are replication/.
import type { LogPosition } from './contract.ts'
import { type EntryHead, follows } from './entry.ts'

/** What a replica promised and holds. */
export interface ReplicaState {
  /** Appends of lower epochs are refused. */
  promisedEpoch: number
  last: LogPosition
}

/** What a replica says of an entry. `state`: what it is once it has the entry; the caller keeps it. */
export type AppendAnswer =
  | { kind: 'accepted'; state: ReplicaState }
  /** Someone newer is the primary. */
  | { kind: 'stale'; promisedEpoch: number }
  /** Entries between `last` and this one are missing, or what is held is not what the primary holds. */
  | { kind: 'gap'; last: LogPosition }

/** Whether the entry may be appended after what the replica holds. */
export function acceptAppend(state: ReplicaState, entry: EntryHead): AppendAnswer {
  if (entry.epoch < state.promisedEpoch) {
    return { kind: 'stale', promisedEpoch: state.promisedEpoch }
  }
  if (!follows(entry, state.last)) return { kind: 'gap', last: state.last }
  const last = { epoch: entry.epoch, sequence: entry.sequence }
  return { kind: 'accepted', state: { promisedEpoch: entry.epoch, last } }
}
