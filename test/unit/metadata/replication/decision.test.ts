// Decisions of the coordinator: what majorities are, and which decision may follow which.
import t from 'tap'
import {
  abandonChange,
  activate,
  changeReplicas,
  type Decision,
  decidedEpoch,
  hasMajorities,
  heldByMajorities,
  isNewer,
  type ReplicaId,
  reignEpoch,
  takeOver,
  votersOf,
} from '../../../../src/metadata/replication/decision.ts'
import { nextStep } from '../../../../src/metadata/replication/membership.ts'
import { mayRetire } from '../../../../src/metadata/replication/replica-log.ts'

const [a, b, c, d] = ['a', 'b', 'c', 'd'] as [ReplicaId, ReplicaId, ReplicaId, ReplicaId]
const three: Decision = { epoch: 7, primary: a, replicas: [a, b, c], previous: undefined }
const joint = changeReplicas(three, { replicas: [a, b, d], primary: a })

t.test('while replicas change, majorities of both sets are needed', async (t) => {
  const has =
    (decision: Decision) =>
    (...ids: ReplicaId[]): boolean =>
      hasMajorities(decision, (id) => ids.includes(id))
  t.equal(has(three)(a, b), true)
  t.equal(has(three)(a, d), false)
  t.equal(has(joint)(a, b), true)
  t.equal(has(joint)(a, d), false, 'not of the old set')
  t.equal(has(joint)(a, c), false, 'not of the new set')
  t.equal(has(joint)(a, c, d), true)
  t.equal(has(activate(joint))(a, d), true)
  const held = new Map([
    [a, 9],
    [b, 5],
    [c, 7],
    [d, 3],
  ])
  t.equal(
    heldByMajorities(three, (id) => held.get(id)!),
    7,
  )
  t.equal(
    heldByMajorities(joint, (id) => held.get(id)!),
    5,
  )
  t.same(votersOf(joint), [a, b, d, c])
})

t.test('one replica is changed at a time', async (t) => {
  t.throws(() => changeReplicas(joint, { replicas: [a, d], primary: a }), /one change/)
  t.throws(() => changeReplicas(three, { replicas: [a, d], primary: a }), /one replica/)
  t.throws(() => changeReplicas(three, { replicas: [b, c], primary: a }), /primary/)
  t.throws(() => takeOver(three, d), /primary/)
})

t.test('decisions have an order', async (t) => {
  t.equal(isNewer(three, undefined), true)
  t.equal(isNewer(three, three), false)
  t.equal(isNewer(joint, three), true)
  t.equal(isNewer(activate(joint), joint), true)
  t.equal(isNewer(joint, activate(joint)), false)
  t.equal(isNewer(takeOver(joint, d), activate(joint)), true)
  t.same(abandonChange(joint, a), { ...three, epoch: joint.epoch + 1 })
  t.equal(decidedEpoch(reignEpoch(8, 65_535)), 8)
  t.ok(reignEpoch(9, 0) > reignEpoch(8, 65_535))
})

t.test('steps towards the wanted replicas', async (t) => {
  const view = { self: a, decision: three, isServing: true, hasLearned: () => true }
  const isNew = (id: ReplicaId): boolean => id !== d
  t.same(nextStep({ ...view, wanted: [] }), { kind: 'none' })
  t.same(nextStep({ ...view, wanted: [c, b, a] }), { kind: 'none' })
  t.same(nextStep({ ...view, wanted: [a, b, d], hasLearned: isNew }), { kind: 'teach', learner: d })
  t.same(nextStep({ ...view, wanted: [a, b, d] }), { kind: 'decide', to: joint })
  t.same(nextStep({ ...view, wanted: [a, b, d], decision: joint }), {
    kind: 'decide',
    to: activate(joint),
  })
  t.same(nextStep({ ...view, wanted: [b, c] }), { kind: 'decide', to: takeOver(three, b) })
  const stuck = { ...view, decision: joint, isServing: false }
  t.same(nextStep({ ...stuck, wanted: [a, b, d] }), { kind: 'none' }, 'it may still come')
  t.same(nextStep({ ...stuck, wanted: [a, b, c] }), {
    kind: 'decide',
    to: abandonChange(joint, a),
  })
  t.same(nextStep({ ...view, wanted: [a, b], hasLearned: () => false }), { kind: 'none' })
})

t.test(
  'a replica deletes itself only by a decision that is not older than what it answered',
  async (t) => {
    const promised = reignEpoch(joint.epoch, 0)
    t.equal(mayRetire({ id: d, promised }, three), false, 'before it joined')
    t.equal(mayRetire({ id: c, promised }, joint), false, 'not yet activated')
    t.equal(mayRetire({ id: c, promised }, activate(joint)), true)
    t.equal(mayRetire({ id: d, promised }, activate(joint)), false)
  },
)
