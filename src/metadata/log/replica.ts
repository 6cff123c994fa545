// What a replica accepts. No I/O: state and message in, answer and next state out.
// Embedded, the primary and its replicas share a process and only appends happen; clusters add Fence messages.
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

/** What a replica says when it is to promise an epoch. `promisedEpoch`: the newer one that it promised before. */
export type FenceAnswer =
  | { kind: 'fenced'; state: ReplicaState }
  | { kind: 'refused'; promisedEpoch: number }

/** From here on appends of epochs below `epoch` are refused. */
export function fence(state: ReplicaState, epoch: number): FenceAnswer {
  if (epoch < state.promisedEpoch) return { kind: 'refused', promisedEpoch: state.promisedEpoch }
  return { kind: 'fenced', state: { ...state, promisedEpoch: epoch } }
}
