// What a replica keeps in the log of its drive beside its entries, whole in every record. Layout: docs/formats/metadata-log.md.
import { asBuffer } from '../../kit/bytes.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import { BEGINNING } from '../../metadata/log/entry.ts'
import type { Decision, ReplicaId } from '../../metadata/replication/decision.ts'
import type { Suspicion } from './suspects.ts'

/** Where the rows of a replica are on its drive. */
export interface RowsPlace {
  /** A number of meta.db in which nobody else's rows are: where embedded stores have the number of the partition. */
  slot: number
  /** What the rows held when they were put there. */
  position: LogPosition
}

/** All of a replica but entries and rows. */
export interface ReplicaState {
  /** The highest epoch that was promised. */
  promised: number
  /** To whom: of two primaries in one epoch it follows one. Absent in states of before it was kept. */
  promisedTo?: ReplicaId | undefined
  decision: Decision | undefined
  rows: RowsPlace
  /** The end of its log when this was written: what of it lies behind that is void. */
  last: LogPosition
  /** It was deleted, and never answers again. */
  isGone: boolean
  /** Its rows are not to be trusted. Until others take their place. */
  suspicion?: Suspicion | undefined
  /** A recovery made it, and no decision was heard yet that names it: nobody may count on what it has. */
  isUnnamed?: boolean | undefined
}

/** That of a replica that was never written. */
export function newReplicaState(slot: number): ReplicaState {
  const rows = { slot, position: BEGINNING }
  return { promised: 0, decision: undefined, rows, last: BEGINNING, isGone: false }
}

/** JSON. */
export function encodeReplicaState(state: ReplicaState): Uint8Array {
  return Buffer.from(JSON.stringify(state))
}

/** A state whose checksum was right: anything else than a state is our own mistake. */
export function decodeReplicaState(bytes: Uint8Array): ReplicaState {
  const state = JSON.parse(asBuffer(bytes).toString('utf8')) as ReplicaState
  const { decision } = state
  // JSON leaves out what is undefined.
  return { ...state, decision: decision && { ...decision, previous: decision.previous } }
}
