// What the coordinator decided of one partition: who is primary in which epoch, and which replicas count.
// Changed only by compare-and-swap. Why that is enough: docs/formats/replication.md.
import { assert } from '../../kit/assert.ts'
import type { Brand } from '../../kit/brand.ts'

/** A replica: its drive and its incarnation, `7-0123456789abcdef`. Made anew, it is another one. */
export type ReplicaId = Brand<string, 'ReplicaId'>

/** Of whom an epoch is in which nobody leads. */
export const NOBODY = '' as ReplicaId

/** A state of the coordinator for one partition. */
export interface Decision {
  /** Grows with every decision but an activation. */
  epoch: number
  /** One of `replicas`. */
  primary: ReplicaId
  replicas: readonly ReplicaId[]
  /** The set that was activated last, while `replicas` is not yet: majorities of both are needed until then. */
  previous: readonly ReplicaId[] | undefined
}

/** Terms of one epoch: a primary that restarted so often needs another epoch from the coordinator. */
export const TERMS = 0x1_0000

/**
 * The number that entries and messages carry as their epoch: that of the coordinator, then the term, which the primary
 * itself counts up whenever it begins again. Below 2^53 for epochs below 2^37.
 */
export function reignEpoch(epoch: number, term: number): number {
  assert(term < TERMS, 'a term has 16 bits')
  return epoch * TERMS + term
}

/** The coordinator's epoch in an epoch of the log. */
export function decidedEpoch(reign: number): number {
  return Math.floor(reign / TERMS)
}

/** Whether `left` was decided after `right`. */
export function isNewer(left: Decision, right: Decision | undefined): boolean {
  if (right === undefined || left.epoch !== right.epoch) return left.epoch > (right?.epoch ?? -1)
  return left.previous === undefined && right.previous !== undefined
}

/** All replicas that count, each once. */
export function votersOf({ replicas, previous = [] }: Decision): ReplicaId[] {
  return [...new Set([...replicas, ...previous])]
}

/** Whether those that `isIn` are a majority of every set that counts. */
export function hasMajorities(decision: Decision, isIn: (id: ReplicaId) => boolean): boolean {
  return setsOf(decision).every((set) => set.filter(isIn).length >= majorityOf(set))
}

/** Whether those that `isIn` are a majority of a set that counts: without one of them nothing is committed. */
export function hasOneMajority(decision: Decision, isIn: (id: ReplicaId) => boolean): boolean {
  return setsOf(decision).some((set) => set.filter(isIn).length >= majorityOf(set))
}

/** The highest sequence that majorities of every set that counts hold. */
export function heldByMajorities(decision: Decision, heldBy: (id: ReplicaId) => number): number {
  const reached = setsOf(decision).map((set) => {
    const held = set.map(heldBy).sort((left, right) => right - left)
    return held[majorityOf(set) - 1]!
  })
  return Math.min(...reached)
}

/** The next epoch with another primary. The sets stay, activated or not. */
export function takeOver(decision: Decision, primary: ReplicaId): Decision {
  assert(decision.replicas.includes(primary), 'the primary is a replica')
  return { ...decision, epoch: decision.epoch + 1, primary }
}

/** The next epoch with one replica more, one less, or one in place of another; both sets count until it is activated. */
export function changeReplicas(
  decision: Decision,
  { replicas, primary }: Pick<Decision, 'replicas' | 'primary'>,
): Decision {
  assert(decision.previous === undefined, 'one change of the replicas at a time')
  const joined = replicas.filter((id) => !decision.replicas.includes(id))
  const left = decision.replicas.filter((id) => !replicas.includes(id))
  assert(joined.length <= 1 && left.length <= 1, 'one replica is changed at a time')
  assert(replicas.includes(primary), 'the primary is a replica')
  return { epoch: decision.epoch + 1, primary, replicas, previous: decision.replicas }
}

/**
 * The next epoch with the set that was activated last, as if the change had never been begun. Nothing was committed without
 * a majority of that set.
 */
export function abandonChange(decision: Decision, primary: ReplicaId): Decision {
  const { previous: replicas } = decision
  assert(replicas !== undefined, 'there is a change to abandon')
  assert(replicas.includes(primary), 'the primary is a replica')
  return { epoch: decision.epoch + 1, primary, replicas, previous: undefined }
}

/** The same epoch, in which `replicas` alone count from now on. */
export function activate(decision: Decision): Decision {
  return { ...decision, previous: undefined }
}

function setsOf({ replicas, previous }: Decision): (readonly ReplicaId[])[] {
  return previous === undefined ? [replicas] : [replicas, previous]
}

function majorityOf(set: readonly ReplicaId[]): number {
  return Math.floor(set.length / 2) + 1
}
