// Which partitions count as lost: never one that a majority can still lead.
import t from 'tap'
import {
  type LostPartition,
  lookAtPartition,
  silentOf,
  survivorsOf,
} from '../../../src/cluster/lost-partitions.ts'
import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import { parseReplicaId, replicaIdOf } from '../../../src/metadata/replication/replica-id.ts'
import type { Replica } from '../../../src/placement/coordinator.ts'
import type { PartitionRecord } from '../../../src/placement/etcd/leadership.ts'
import type { ReplicaStanding } from '../../../src/storage-node/replicated/contract.ts'
import { NodeUnreachable } from '../../../src/storage-node/rpc/trouble.ts'

const P = 3

function replicaOn(driveId: number): Replica {
  return { driveId, incarnation: `000000000000000${driveId}` }
}

function recordOf(drives: readonly number[], previous?: readonly number[]): PartitionRecord {
  const replicas = drives.map(replicaOn)
  const before = previous === undefined ? {} : { previous: previous.map(replicaOn) }
  return { epoch: 5, id: 'r', primary: replicas[0]!, replicas, ...before }
}

const lives = (sequence: number): ReplicaStanding => ({
  kind: 'lives',
  end: { epoch: 7, sequence },
})
const [suspect, damaged, gone, closed] = (['suspect', 'damaged', 'gone', 'closed'] as const).map(
  (kind) => ({ kind }),
)

/** Drives from 1, each on a node of its own; what has no standing does not answer. */
async function look(
  standings: readonly (ReplicaStanding | undefined)[],
  record = recordOf(standings.map((_, index) => index + 1)),
): Promise<LostPartition | undefined> {
  const ask = async (_node: string, _partition: number, [id]: readonly ReplicaId[]) => {
    const standing = standings[parseReplicaId(id!)!.driveId - 1]
    if (standing === undefined) throw new NodeUnreachable('it is away', 'not-sent')
    return [standing]
  }
  const fence = async () => []
  const parts = { recovery: { standings: ask, fence }, nodeOf: (id: number) => `n${id}` }
  return await lookAtPartition(P, record, parts)
}

t.test('who votes counts as living, whatever its rows are', async (t) => {
  t.equal(await look([lives(4), suspect, suspect]), undefined)
  t.equal(await look([suspect, suspect, undefined]), undefined, 'it can be led')
  t.equal(await look([lives(4), suspect, gone]), undefined)
  t.ok(await look([suspect, gone, damaged]))
  t.ok(await look([lives(4), undefined, closed]))
})

t.test('of a set that is not activated a majority is needed, and of the one before', async (t) => {
  const record = recordOf([1, 2, 3], [3, 4, 5])
  t.equal(await look([lives(1), lives(1), lives(1), suspect, gone], record), undefined)
  t.ok(await look([lives(1), lives(1), gone, suspect, gone], record))
})

t.test('what goes on is what lives, goes furthest and is trusted', async (t) => {
  const lost = await look([lives(3), lives(9), gone, gone, suspect, closed, undefined])
  t.match(survivorsOf(lost!)[0], { replica: replicaIdOf(replicaOn(2)), node: 'n2' })
  t.same(
    silentOf(lost!).map(({ node }) => node),
    ['n6', 'n7'],
  )
  t.same(survivorsOf((await look([suspect, gone, gone]))!), [])
})

t.test('what was never led has nothing to lose', async (t) => {
  const { primary: _primary, ...record } = recordOf([1, 2, 3])
  t.equal(await look([gone, gone, gone], record), undefined)
  t.ok(await look([gone, gone, gone], { ...record, restoredFrom: 4 }))
})
