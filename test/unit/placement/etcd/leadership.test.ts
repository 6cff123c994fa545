// Changes of partition records, on generated histories: epochs, primaries and joint sets.
import fc from 'fast-check'
import t from 'tap'
import type { Replica } from '../../../../src/placement/coordinator.ts'
import {
  activate,
  changeReplicas,
  firstRecord,
  holds,
  type NextRecord,
  type PartitionRecord,
  takeLead,
} from '../../../../src/placement/etcd/leadership.ts'

const replica = (driveId: number): Replica => ({ driveId, incarnation: `i${driveId}` })

type Step = { kind: 'lead' | 'add' | 'remove'; drive: number } | { kind: 'activate' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constantFrom('lead' as const, 'add' as const, 'remove' as const),
      drive: fc.integer({ min: 1, max: 6 }),
    }),
    fc.record({ kind: fc.constant('activate' as const) }),
  ),
  { maxLength: 30 },
)

function take(record: PartitionRecord, step: Step): NextRecord | undefined {
  switch (step.kind) {
    case 'lead':
      return takeLead(record, replica(step.drive))
    case 'add':
      return changeReplicas(record, [...record.replicas, replica(step.drive)])
    case 'remove':
      return changeReplicas(
        record,
        record.replicas.filter(({ driveId }) => driveId !== step.drive),
      )
    case 'activate':
      return activate(record, record.epoch)
  }
}

t.test('every history keeps the rules', async (t) => {
  fc.assert(
    fc.property(steps, (history) => {
      let record: PartitionRecord = { ...firstRecord([1, 2, 3].map(replica), 1), id: '0' }
      const primaries = new Map<number, number>()
      // The set that was activated last, computed the slow way.
      let activated = record.replicas
      history.forEach((step, index) => {
        const next = take(record, step)
        if (next === undefined) return
        const isActivation = step.kind === 'activate'
        if (isActivation) activated = next.replicas
        if (next.epoch !== record.epoch + (isActivation ? 0 : 1)) throw new Error('epoch')
        if (next.primary) {
          if (!holds(next.replicas, next.primary)) throw new Error('a primary outside the set')
          const known = primaries.get(next.epoch)
          if (known !== undefined && known !== next.primary.driveId)
            throw new Error('two primaries in an epoch')
          primaries.set(next.epoch, next.primary.driveId)
        }
        if (next.replicas.length === 0) throw new Error('an empty set')
        const joint = JSON.stringify(next.previous ?? next.replicas)
        if (joint !== JSON.stringify(activated)) throw new Error('the activated set was lost')
        record = { ...next, id: `${index}` }
      })
    }),
    { numRuns: 500 },
  )
  t.pass('500 histories')
})

t.test('what is no change', async (t) => {
  const record: PartitionRecord = { ...firstRecord([1, 2, 3].map(replica), 4), id: 'x' }
  t.equal(takeLead(record, replica(4)), undefined, 'not of the set')
  t.equal(takeLead(record, { driveId: 1, incarnation: 'other' }), undefined, 'made anew since')
  t.equal(changeReplicas(record, record.replicas), undefined)
  t.equal(changeReplicas(record, [1, 2, 4].map(replica)), undefined, 'two at a time')
  const twice = [...record.replicas, { driveId: 1, incarnation: 'other' }]
  t.equal(changeReplicas(record, twice), undefined, 'two on a drive')
  t.equal(activate(record, 4), undefined, 'nothing to activate')
  const wider = changeReplicas(record, [1, 2, 3, 4].map(replica))
  t.equal(activate({ ...wider!, id: 'y' }, 4), undefined, 'of another epoch')
})
