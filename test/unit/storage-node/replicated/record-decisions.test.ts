// What replicas ask of etcd: the same question is asked once at a time, however often it comes.
import t from 'tap'
import type { Decision } from '../../../../src/metadata/replication/decision.ts'
import { replicaIdOf } from '../../../../src/metadata/replication/replica-id.ts'
import type { RecordChange } from '../../../../src/placement/etcd/partition-records.ts'
import { RecordDecisions } from '../../../../src/storage-node/replicated/record-decisions.ts'

const IDS = [1, 2, 3].map((driveId) =>
  replicaIdOf({ driveId, incarnation: `${driveId}`.repeat(16) }),
)

const ledBy = (at: number, epoch: number): Decision => ({
  ...{ epoch, primary: IDS[at]!, replicas: IDS, previous: undefined },
})

t.test('a question that is under way is not asked again', async (t) => {
  const asked: ((outcome: RecordChange | Error) => void)[] = []
  const decisions = new RecordDecisions({
    get: () => undefined,
    watch: () => () => {},
    change: () =>
      new Promise((resolve, reject) => {
        asked.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)))
      }),
  })
  t.teardown(() => decisions.close())
  const [from, to] = [ledBy(0, 2), ledBy(1, 3)]
  const both = [decisions.decide(7, from, to), decisions.decide(7, from, { ...to })]
  const other = decisions.decide(8, from, to)
  const another = decisions.decide(7, from, ledBy(2, 3))
  t.equal(asked.length, 3, 'another partition and another answer are other questions')
  asked[0]!(new Error('etcd is away'))
  for (const one of both) await t.rejects(one, { message: 'etcd is away' })
  const again = decisions.decide(7, from, to)
  t.equal(asked.length, 4, 'one that was answered is asked anew')
  for (const answer of asked.slice(1)) answer({ kind: 'unchanged', found: undefined })
  await Promise.all([other, another, again])
})
