// From the replicas that are to the replicas that are wanted, one at a time, each step decided by the coordinator.
import {
  abandonChange,
  activate,
  changeReplicas,
  type Decision,
  hasMajorities,
  type ReplicaId,
  takeOver,
} from './decision.ts'

/** What a primary knows when it looks for the next step. */
export interface MembershipView {
  self: ReplicaId
  decision: Decision
  wanted: readonly ReplicaId[]
  /** Whether the first entry of this reign is committed by majorities of every set that counts. */
  isServing: boolean
  /** Whether a replica or learner lacks little or nothing, by what it said lately. */
  hasLearned: (id: ReplicaId) => boolean
}

/** What a primary does next so that its replicas are where they are wanted. `decide`: what to ask of the coordinator. */
export type MembershipStep =
  | { kind: 'none' }
  /** Bring this one up to date; it does not count. */
  | { kind: 'teach'; learner: ReplicaId }
  | { kind: 'decide'; to: Decision }

/** The next step of a primary. */
export function nextStep(view: MembershipView): MembershipStep {
  const { decision, wanted } = view
  if (!view.isServing) return abandon(view)
  if (decision.previous !== undefined) return { kind: 'decide', to: activate(decision) }
  if (wanted.length === 0) return { kind: 'none' }
  const missing = wanted.find((id) => !decision.replicas.includes(id))
  const extra = decision.replicas.filter((id) => !wanted.includes(id))
  if (missing !== undefined) return replace(view, missing, extra)
  return extra.length > 0 ? remove(view, extra) : { kind: 'none' }
}

/** A replica that joined and is not wanted any more, maybe because it is dead, must not hold up the others for ever. */
function abandon({ self, decision, wanted }: MembershipView): MembershipStep {
  const { previous, replicas } = decision
  const joined = replicas.find((id) => previous && !previous.includes(id))
  const heir = previous?.includes(self) ? self : previous?.[0]
  if (joined === undefined || heir === undefined) return { kind: 'none' }
  if (wanted.length === 0 || wanted.includes(joined)) return { kind: 'none' }
  return { kind: 'decide', to: abandonChange(decision, heir) }
}

/** One in place of another, or one more. The primary itself goes last. */
function replace(
  view: MembershipView,
  learner: ReplicaId,
  extra: readonly ReplicaId[],
): MembershipStep {
  if (!view.hasLearned(learner)) return { kind: 'teach', learner }
  const leaves = extra.find((id) => id !== view.self)
  const stay = view.decision.replicas.filter((id) => id !== leaves)
  return decide(view, [...stay, learner])
}

function remove(view: MembershipView, extra: readonly ReplicaId[]): MembershipStep {
  const leaves = extra.find((id) => id !== view.self)
  if (leaves === undefined) return handOver(view)
  return decide(
    view,
    view.decision.replicas.filter((id) => id !== leaves),
  )
}

/** A primary that is to leave lets another one take its place first. */
function handOver({ self, decision, wanted, hasLearned }: MembershipView): MembershipStep {
  const heir = decision.replicas.find((id) => id !== self && wanted.includes(id) && hasLearned(id))
  return heir === undefined ? { kind: 'none' } : { kind: 'decide', to: takeOver(decision, heir) }
}

/** Not before a majority of the replicas to come is ready: what is decided can not be served otherwise. */
function decide(view: MembershipView, replicas: readonly ReplicaId[]): MembershipStep {
  const { self, decision, hasLearned } = view
  const to = changeReplicas(decision, { replicas, primary: self })
  const isReady = hasMajorities(to, (id) => id === self || hasLearned(id))
  return isReady ? { kind: 'decide', to } : { kind: 'none' }
}
