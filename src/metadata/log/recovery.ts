// What holds after a stop, from what the surviving in-sync replicas still have. Pure.
// With the `all` rule every replica once held every committed entry: one intact copy anywhere is enough.
import type { LogPosition } from './contract.ts'
import { BEGINNING, type EntryHead, follows, isSamePosition, nameOfPosition } from './entry.ts'

/** What is left of one in-sync replica. */
export interface ReplicaEvidence<Id> {
  id: Id
  /** Its rows surely hold everything up to here; undefined when its rows are lost or not to be trusted. */
  base: LogPosition | undefined
  /** Its rows say that they hold everything up to here, which is so unless the machine lost power or rows rotted. */
  claimed: LogPosition | undefined
  /** Every intact entry of its log, in any order. */
  entries: readonly EntryHead[]
}

/** What to do with one replica. */
export type ReplicaPlan<Id> =
  /** Append `lacks` to its log, apply the chain after `from` to its rows. */
  | { kind: 'mend'; id: Id; from: LogPosition; lacks: EntryHead[] }
  /** It can not be made whole from logs: it leaves the set and is copied anew from a whole one. */
  | { kind: 'replace'; id: Id }

/** What holds of a log, and what becomes of every replica of which something is left. */
export type RecoveryPlan<Id> =
  | {
      kind: 'recovered'
      /** The last entry that holds. */
      tip: LogPosition
      /** Entries up to the tip, in order, as far back as any replica needs them. */
      chain: EntryHead[]
      replicas: ReplicaPlan<Id>[]
      /** True when rows had to be believed beyond what is proven: some may be missing. */
      doubtful: boolean
    }
  /** Committed entries are nowhere to be found. Nothing may be served, nothing deleted. */
  | { kind: 'lost'; reached: LogPosition | undefined; committed: number }

interface Candidate<Id> {
  id: Id
  from: LogPosition
  chain: EntryHead[]
}

/** Decides the tip of a log and how every replica gets there. */
export function planRecovery<Id>(evidence: readonly ReplicaEvidence<Id>[]): RecoveryPlan<Id> {
  const union = unite(evidence)
  const committed = knownCommitted(evidence)
  const proven = walkAll(evidence, union, ({ base }) => base)
  const best = longest(proven)
  if (best !== undefined && reach(best) >= committed) {
    return plan(evidence, proven, tipOf(best), false)
  }
  const claimed = walkAll(evidence, union, ({ claimed: position }) => position)
  const bestClaim = longest(claimed)
  if (bestClaim !== undefined && reach(bestClaim) >= committed) {
    return plan(evidence, claimed, tipOf(bestClaim), true)
  }
  return { kind: 'lost', reached: best && tipOf(best), committed }
}

/** The entries that lead on from `position`, in order, as far as any of these logs has the next one. */
export function chainAfter(
  position: LogPosition,
  logs: readonly (readonly EntryHead[])[],
): EntryHead[] {
  return walk(position, unite(logs.map((entries) => ({ entries }))))
}

/** All intact entries by sequence, each (epoch, sequence) once, higher epochs first. */
function unite(
  evidence: readonly Pick<ReplicaEvidence<unknown>, 'entries'>[],
): Map<number, EntryHead[]> {
  const union = new Map<number, EntryHead[]>()
  for (const { entries } of evidence) {
    for (const entry of entries) {
      const same = union.get(entry.sequence) ?? []
      if (same.some(({ epoch }) => epoch === entry.epoch)) continue
      same.push(entry)
      // An epoch begins only after recovery settled what the ones before left: its entries win.
      same.sort((left, right) => right.epoch - left.epoch)
      union.set(entry.sequence, same)
    }
  }
  return union
}

function knownCommitted<Id>(evidence: readonly ReplicaEvidence<Id>[]): number {
  let highest = 0
  for (const { base, claimed, entries } of evidence) {
    highest = Math.max(highest, base?.sequence ?? 0, claimed?.sequence ?? 0)
    for (const { committed } of entries) highest = Math.max(highest, committed)
  }
  return highest
}

function walkAll<Id>(
  evidence: readonly ReplicaEvidence<Id>[],
  union: ReadonlyMap<number, EntryHead[]>,
  start: (replica: ReplicaEvidence<Id>) => LogPosition | undefined,
): Candidate<Id>[] {
  const candidates: Candidate<Id>[] = []
  for (const replica of evidence) {
    const from = start(replica) ?? startOfWholeLog(union)
    if (from !== undefined) candidates.push({ id: replica.id, from, chain: walk(from, union) })
  }
  return candidates
}

/** A log that still has its first entry needs no rows at all. */
function startOfWholeLog(union: ReadonlyMap<number, EntryHead[]>): LogPosition | undefined {
  return union.get(1)?.some((entry) => follows(entry, BEGINNING)) ? BEGINNING : undefined
}

function walk(from: LogPosition, union: ReadonlyMap<number, EntryHead[]>): EntryHead[] {
  const chain: EntryHead[] = []
  let position = from
  for (;;) {
    const at = position
    const next = union.get(at.sequence + 1)?.find((entry) => follows(entry, at))
    if (next === undefined) return chain
    chain.push(next)
    position = next
  }
}

function longest<Id>(candidates: readonly Candidate<Id>[]): Candidate<Id> | undefined {
  return candidates.reduce<Candidate<Id> | undefined>(
    (best, candidate) => (best && reach(best) >= reach(candidate) ? best : candidate),
    undefined,
  )
}

function tipOf<Id>({ from, chain }: Candidate<Id>): LogPosition {
  const { epoch, sequence } = chain.at(-1) ?? from
  return { epoch, sequence }
}

function reach<Id>(candidate: Candidate<Id>): number {
  return tipOf(candidate).sequence
}

function plan<Id>(
  evidence: readonly ReplicaEvidence<Id>[],
  candidates: readonly Candidate<Id>[],
  tip: LogPosition,
  doubtful: boolean,
): RecoveryPlan<Id> {
  const whole = candidates.filter((candidate) => isSamePosition(tipOf(candidate), tip))
  const chain = whole.reduce<EntryHead[]>(
    (widest, candidate) => (candidate.chain.length > widest.length ? candidate.chain : widest),
    [],
  )
  const replicas = evidence.map((replica): ReplicaPlan<Id> => {
    const found = whole.find(({ id }) => id === replica.id)
    if (found === undefined) return { kind: 'replace', id: replica.id }
    const held = new Set(replica.entries.map(nameOfPosition))
    const lacks = found.chain.filter((entry) => !held.has(nameOfPosition(entry)))
    return { kind: 'mend', id: replica.id, from: found.from, lacks }
  })
  return { kind: 'recovered', tip, chain, replicas, doubtful }
}
