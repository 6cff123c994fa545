// How a cluster begins: drives of nodes come in, the first table, the first records; and where replicas of metadata lie later.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { MatrixId } from '../../../src/kit/erasure-code.ts'
import { hasTable, type MapDrive } from '../../../src/placement/cluster-map.ts'
import type { Change, ClusterState } from '../../../src/placement/coordinator.ts'
import { addDrives, markOut, type NewDrive } from '../../../src/placement/coordinator-changes.ts'
import {
  emptyClusterMap,
  firstClusterMap,
  firstRecords,
  planFirstMap,
} from '../../../src/placement/first-map.ts'
import { replicaCountFor, replicaDrives } from '../../../src/placement/replica-drives.ts'
import { Seeded } from '../../support/seeded.ts'

await prepareDigests()

const empty: ClusterState = {
  ...{ clusterId: 'c', epoch: 1, metaPartitions: [], buckets: {}, nextBucketId: 1 },
  nextDriveId: 100,
  map: emptyClusterMap('7'),
  cluster: { nodesExpected: 3, secret: '00' },
}

function after(state: ClusterState, change: Change): ClusterState {
  return { ...(change(state) ?? state), epoch: state.epoch + 1 }
}

function driveOf(id: number, node: number, zone?: string): NewDrive {
  const place = { nodeId: `n${node}`, ...(zone ? { zone } : {}) }
  return { id, uuid: `drive-${id}`, weight: 1000, path: `/d${id}`, ...place }
}

t.test('drives of nodes come in; with those of the last node there is a table', async (t) => {
  t.match(planFirstMap(empty), { kind: 'awaited', sentence: /0 of 3 nodes/ })
  const two = after(empty, addDrives([driveOf(1, 1), driveOf(2, 1), driveOf(3, 2)]))
  t.equal(two.map.drives.length, 3)
  t.notOk(hasTable(two.map), 'they come in without a table')
  t.match(planFirstMap(two), { kind: 'awaited', sentence: /2 of 3 nodes/ })
  t.equal(firstClusterMap()(two), undefined)
  const three = after(two, addDrives([driveOf(3, 2), driveOf(4, 3)]))
  t.equal(three.map.drives.length, 4, 'one that was there already is passed over')
  const made = after(three, firstClusterMap())
  t.ok(hasTable(made.map))
  t.match(made.map.code, { dataCount: 2, parityCount: 2 })
  t.equal(made.map.slots.length, 4096)
  t.same(firstClusterMap()(three)?.map, made.map, 'whoever decides it decides the same')
  t.same(planFirstMap(made), { kind: 'made' })
  t.equal(firstClusterMap()(made), undefined)
  t.match(made.map.drives[3], { nodeId: 'n3', state: 'active' })
})

t.test('what can not be is said', async (t) => {
  const drives = [driveOf(1, 1), driveOf(2, 2), driveOf(3, 2)]
  const matrix = MatrixId.CentredVandermonde
  const wide = { dataCount: 4, parityCount: 2, matrix }
  const asked = { ...empty, cluster: { nodesExpected: 2, secret: '00', code: wide } }
  const state = after(asked, addDrives(drives))
  t.match(planFirstMap(state), {
    kind: 'refused',
    sentence: /4\+2 needs 6 drives, and 3 are known/,
  })
  const code = { dataCount: 2, parityCount: 1, matrix }
  const unsafe = { ...state, cluster: { ...asked.cluster, code } }
  t.match(planFirstMap(unsafe), { kind: 'refused', sentence: /2\+1 on 2 nodes the loss of one/ })
  const allowed = { ...unsafe, cluster: { ...unsafe.cluster, allowsUnsafeLayout: true as const } }
  t.match(planFirstMap(allowed), { kind: 'possible', map: { code } })
})

t.test('each partition gets a record with replicas on distinct nodes', async (t) => {
  const drives = Array.from({ length: 12 }, (_, index) => driveOf(index + 1, index % 6))
  const { map } = after({ ...empty, cluster: { nodesExpected: 6, secret: '' } }, addDrives(drives))
  const made = {
    ...map,
    code: { dataCount: 4, parityCount: 2, matrix: MatrixId.CentredVandermonde },
  }
  const records = firstRecords(made, new Seeded(3))
  t.equal(records.size, 64)
  const incarnations = new Set<string>()
  for (const [id, { epoch, primary, replicas, previous }] of records) {
    t.same([epoch, primary, previous], [1, undefined, undefined])
    const ids = replicas.map(({ driveId }) => driveId)
    t.same(ids, replicaDrives(made, id, []))
    t.equal(new Set(ids.map((driveId) => driveId % 6)).size, 5, 'on distinct nodes')
    for (const { incarnation } of replicas) incarnations.add(incarnation)
  }
  t.equal(incarnations.size, 64 * 5)
})

t.test('so many replicas that m may be lost, and no more than nodes', async (t) => {
  const mapOf = (nodes: number, parityCount: number): Parameters<typeof replicaCountFor>[0] => ({
    drives: Array.from(
      { length: nodes },
      (_, at): MapDrive => ({ ...driveOf(at + 1, at), state: 'active' }),
    ),
    code: { dataCount: 4, parityCount, matrix: MatrixId.CentredVandermonde },
  })
  t.same(
    [replicaCountFor(mapOf(1, 1)), replicaCountFor(mapOf(2, 1)), replicaCountFor(mapOf(9, 1))],
    [1, 2, 3],
  )
  t.same([replicaCountFor(mapOf(4, 2)), replicaCountFor(mapOf(9, 4))], [4, 5])
})

t.test('a replica stays where it is unless its drive leaves or is lost', async (t) => {
  const drives = Array.from({ length: 8 }, (_, at): MapDrive => {
    return { ...driveOf(at + 1, at % 4, `z${at % 2}`), state: 'active' }
  })
  const code = { dataCount: 2, parityCount: 1, matrix: MatrixId.CentredVandermonde }
  const map = { drives, code, seed: '9' }
  const current = replicaDrives(map, 5, [])
  t.equal(current.length, 3)
  t.same(replicaDrives(map, 5, current), current)
  const zones = current.map((id) => drives.find((drive) => drive.id === id)!.zone)
  t.equal(new Set(zones).size, 2, 'in all zones')
  const gone = (state: MapDrive['state'], isLeaving?: true): MapDrive[] =>
    drives.map((drive) =>
      drive.id === current[0] ? { ...drive, state, ...(isLeaving ? { isLeaving } : {}) } : drive,
    )
  const after = replicaDrives({ ...map, drives: gone('draining', true) }, 5, current)
  t.equal(after.length, 3)
  t.notOk(after.includes(current[0]!))
  t.same(after.slice(0, 2), current.slice(1), 'the others are where they were')
  t.notOk(replicaDrives({ ...map, drives: gone('out') }, 5, current).includes(current[0]!))
  const three = { ...map, drives: drives.filter(({ id }) => current.includes(id)) }
  const out = markOut(current[0]!, 'a test')({ ...empty, map: { ...empty.map, ...three } })!
  t.same(
    replicaDrives({ ...three, drives: out.map.drives }, 5, current),
    current,
    'where nobody can take its place it is waited for',
  )
})
