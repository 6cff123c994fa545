// Drives that fail between the recovery of metadata and the decision on what was recovered.
import t from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { BEGINNING } from '../../../src/metadata/log/entry.ts'
import type { ClusterState, Replica } from '../../../src/placement/coordinator.ts'
import { dropReplicasOn, startPartitions } from '../../../src/placement/coordinator-changes.ts'
import { loseWhatLeft, type Recovered } from '../../../src/storage-node/metadata-host/start.ts'

const replica = (driveId: number): Replica => ({ driveId, incarnation: `i${driveId}` })
const stateOf = (...sets: number[][]) =>
  ({
    metaPartitions: sets.map((set) => ({ epoch: 1, inSync: set.map(replica) })),
  }) as unknown as ClusterState

function recover(...sets: number[][]): Recovered {
  return {
    sets: new Map(sets.map((set, id) => [id, set.map(replica)])),
    tips: new Map(sets.map((_, id) => [id, BEGINNING])),
    ...{ lost: new Set(), gone: new Set() },
  }
}

t.test('a set of which only replicas are left that are not whole is not served', async (t) => {
  const before = stateOf([1, 2], [1, 2], [2, 3])
  // Of the first partition only drive 1 was whole.
  const recovered = recover([1], [1, 2], [3])
  const failed = dropReplicasOn(1)(before) as ClusterState
  const state = startPartitions(recovered.sets)(failed)!
  const held: number[] = []
  const hosts = new Map([[2, { holdBack: (id: number) => held.push(id) }]])
  loseWhatLeft(state, recovered, { hosts, log: silentLog })
  t.same([...recovered.lost], [0])
  t.same(held, [0], 'its entries stay: they may be the only copy')
  t.same([...recovered.gone], [], 'the drive may come back')
})
