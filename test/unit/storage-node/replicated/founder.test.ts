// Who takes the lead of a partition that nobody leads: only one that can serve then.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import { parseReplicaId } from '../../../../src/metadata/replication/replica-id.ts'
import type { PartitionRecord } from '../../../../src/placement/etcd/leadership.ts'
import type {
  PartitionRecords,
  RecordChange,
} from '../../../../src/placement/etcd/partition-records.ts'
import { Founder } from '../../../../src/storage-node/replicated/founder.ts'

const replicaOn = (driveId: number) => ({ driveId, incarnation: `000000000000000${driveId}` })

/** Who has the lead after a long time on the node of drive 1, where replicas on these drives live. */
async function leaderOf(
  sets: Pick<PartitionRecord, 'replicas' | 'previous'>,
  living: readonly number[],
): Promise<number | undefined> {
  let record: PartitionRecord = { ...sets, epoch: 8, id: 'r', restoredFrom: 7, isFenced: true }
  let passedMs = 0
  const change: PartitionRecords['change'] = async (_partition, make): Promise<RecordChange> => {
    const next = make(record)
    if (next === undefined) return { kind: 'unchanged', found: record }
    record = { ...next, id: 'next' }
    return { kind: 'changed', record }
  }
  const founder = new Founder({
    world: { clock: { ...realWorld().clock, monotonicMs: () => passedMs } },
    log: silentLog,
    records: { get: () => record, change },
    host: {
      hasDrive: (driveId) => driveId === 1,
      found: async () => {},
      lives: () => living.includes(1),
    },
    transport: { lives: async (id) => living.includes(parseReplicaId(id)!.driveId) },
    partitionCount: () => 1,
  })
  for (const ms of [0, 60_000]) {
    passedMs = ms
    await founder.round()
  }
  return record.primary?.driveId
}

t.test('most of the replicas have to live', async (t) => {
  const replicas = [1, 2, 3].map(replicaOn)
  t.equal(await leaderOf({ replicas }, [1, 2, 3]), 1)
  t.equal(await leaderOf({ replicas }, [1, 2]), 1)
  t.equal(await leaderOf({ replicas }, [1]), undefined)
})

t.test('and most of the set before, where that counts still', async (t) => {
  const sets = { replicas: [1, 2, 3].map(replicaOn), previous: [1, 4, 5].map(replicaOn) }
  t.equal(await leaderOf(sets, [1, 2, 3]), undefined, 'it could never serve')
  t.equal(await leaderOf(sets, [1, 4, 5]), undefined)
  t.equal(await leaderOf(sets, [1, 2, 4]), 1)
})
