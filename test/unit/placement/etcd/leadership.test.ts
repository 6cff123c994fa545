// Changes of partition records, on generated histories: epochs, primaries and sets, of which two may count.
import fc from 'fast-check'
import t from 'tap'
import type { Replica } from '../../../../src/placement/coordinator.ts'
import {
  fence,
  firstRecord,
  holds,
  type NextRecord,
  type PartitionRecord,
  takeLead,
} from '../../../../src/placement/etcd/leadership.ts'

const replica = (driveId: number): Replica => ({ driveId, incarnation: `i${driveId}` })

type Step = { kind: 'lead'; drive: number } | { kind: 'fence' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('lead' as const), drive: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ kind: fc.constant('fence' as const) }),
  ),
  { maxLength: 30 },
)

function take(record: PartitionRecord, step: Step): NextRecord | undefined {
  return step.kind === 'lead' ? takeLead(record, replica(step.drive)) : fence(record)
}

t.test('every history keeps the rules', async (t) => {
  fc.assert(
    fc.property(steps, fc.boolean(), (history, isJoint) => {
      const first = { ...firstRecord([1, 2, 3].map(replica), 1), id: '0' }
      const begun: PartitionRecord = isJoint ? { ...first, previous: [1, 2].map(replica) } : first
      let record = begun
      history.forEach((step, index) => {
        const next = take(record, step)
        if (next === undefined) return
        if (next.epoch !== record.epoch + 1) throw new Error('epoch')
        if (next.primary && !holds(next.replicas, next.primary))
          throw new Error('a primary outside the set')
        if ((next.primary === undefined) !== (step.kind === 'fence')) throw new Error('who leads')
        if ((next.isFenced === true) !== (step.kind === 'fence')) throw new Error('the fence')
        if (next.replicas !== begun.replicas || next.previous !== begun.previous)
          throw new Error('the sets changed')
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
})
