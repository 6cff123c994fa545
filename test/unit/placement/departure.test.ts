// A drive of a cluster leaves: closed, counted, vacated, removed. What is not known keeps it.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'
import type { MapDrive } from '../../../src/placement/cluster-map.ts'
import type { Change, ClusterState } from '../../../src/placement/coordinator.ts'
import {
  drainDrive,
  inOrder,
  markActive,
  markOut,
  removeDrive,
  undrainDrive,
} from '../../../src/placement/coordinator-changes.ts'
import {
  closeDrive,
  type DepartureCount,
  isClosedToRows,
  isUnnamed,
  vacateClosed,
} from '../../../src/placement/departure.ts'
import type { PartitionRecord } from '../../../src/placement/etcd/leadership.ts'

await prepareDigests()

const PARTITIONS = 4

function stateOf(): ClusterState {
  const drives: MapDrive[] = Array.from({ length: 8 }, (_, index) => ({
    ...{ id: index + 1, uuid: `drive-${index + 1}`, weight: 1, state: 'active' },
    nodeId: `n${index + 1}`,
  }))
  const map = buildMap(drives, codeForDrives(6), '42', {
    partitionCount: 32,
    metaPartitionCount: PARTITIONS,
  })
  return {
    ...{ clusterId: 'c', epoch: 10, map, metaPartitions: [], buckets: {}, nextBucketId: 1 },
    nextDriveId: 9,
    cluster: { nodesExpected: 8, secret: '00' },
  }
}

function after(state: ClusterState, ...changes: Change[]): ClusterState {
  return changes.reduce((now, change) => {
    const next = change(now)
    return next === undefined ? now : { ...next, epoch: now.epoch + 1 }
  }, state)
}

function find({ map }: ClusterState, id: number): MapDrive | undefined {
  return map.drives.find((drive) => drive.id === id)
}

function recordOn(driveId: number, epoch = 3): PartitionRecord {
  const replica = { driveId, incarnation: 'i' }
  return { epoch, id: 'x', primary: replica, replicas: [replica] }
}

t.test('a drive that is draining is closed, vacated and removed for ever', async (t) => {
  const draining = after(stateOf(), drainDrive(8))
  t.equal(closeDrive(1)(draining), undefined, 'one in service is not closed')
  t.notOk(isClosedToRows(draining.map, 8))
  const closed = after(draining, closeDrive(8))
  t.match(find(closed, 8), { closedEpoch: closed.epoch, state: 'draining' })
  t.equal(closeDrive(8)(closed), undefined, 'once is enough')
  t.ok(isClosedToRows(closed.map, 8))
  t.equal(removeDrive(8)(closed), undefined, 'not before it is vacated')
  t.equal(vacateClosed(8, closed.epoch - 1)(closed), undefined, 'a count of another closing')
  const vacated = after(closed, vacateClosed(8, closed.epoch))
  t.equal(find(vacated, 8)?.isVacated, true)
  const removed = after(vacated, removeDrive(8))
  t.equal(find(removed, 8), undefined)
  t.same(removed.map.removed, [8])
  t.ok(isClosedToRows(removed.map, 8), 'nothing comes to name what was removed')
  t.notOk(isClosedToRows(removed.map, 9), 'of a drive that is new nothing is known yet')
})

t.test('a drive that stays after all, or comes back, is open again', async (t) => {
  const closed = after(stateOf(), drainDrive(8), closeDrive(8))
  const { closedEpoch } = find(closed, 8)!
  const back = after(closed, undrainDrive(8))
  t.notOk(isClosedToRows(back.map, 8))
  t.equal(vacateClosed(8, closedEpoch!)(back), undefined)
  const again = after(back, drainDrive(8), closeDrive(8))
  t.equal(
    vacateClosed(8, closedEpoch!)(again),
    undefined,
    'what was counted before is worth nothing',
  )

  const lost = after(stateOf(), markOut(8, 'gone'), closeDrive(8))
  const vacated = after(lost, vacateClosed(8, find(lost, 8)!.closedEpoch!))
  t.equal(find(vacated, 8)?.isVacated, true)
  const returned = after(vacated, markActive(8))
  t.match(find(returned, 8), { state: 'active' })
  t.notOk(isClosedToRows(returned.map, 8))
  t.notOk(find(returned, 8)?.isVacated)
})

t.test('only what all leaders have counted is unnamed', async (t) => {
  const { map } = stateOf()
  const drive = { id: 8, closedEpoch: 12 }
  const counts: DepartureCount[] = Array.from({ length: PARTITIONS }, (_, partition) => ({
    ...{ driveId: 8, closedEpoch: 12, partition, epoch: 3, rows: 0 },
  }))
  const facts = { map, counts, recordOf: () => recordOn(1) as PartitionRecord | undefined }
  t.ok(isUnnamed(drive, facts))
  t.notOk(isUnnamed({ id: 8 }, facts), 'it is not closed')
  t.notOk(isUnnamed({ id: 8, closedEpoch: 13 }, facts), 'it was closed anew')
  t.notOk(isUnnamed({ id: 7, closedEpoch: 12 }, facts), 'another drive')
  t.notOk(isUnnamed(drive, { ...facts, counts: counts.slice(1) }), 'a partition is not counted')
  const named = counts.map((one) => (one.partition === 2 ? { ...one, rows: 1 } : one))
  t.notOk(isUnnamed(drive, { ...facts, counts: named }), 'a row names it')
  const recordOf = (of: (record: PartitionRecord) => PartitionRecord | undefined) => ({
    ...facts,
    recordOf: (partition: number) => (partition === 3 ? of(recordOn(1)) : recordOn(1)),
  })
  t.notOk(
    isUnnamed(
      drive,
      recordOf(() => undefined),
    ),
    'no record is known',
  )
  t.notOk(
    isUnnamed(
      drive,
      recordOf(({ primary: _, ...rest }) => rest),
    ),
    'nobody leads',
  )
  t.notOk(
    isUnnamed(
      drive,
      recordOf((one) => ({ ...one, epoch: 4 })),
    ),
    'another has come to lead',
  )
  const there = { driveId: 8, incarnation: 'r' }
  t.notOk(
    isUnnamed(
      drive,
      recordOf((one) => ({ ...one, replicas: [...one.replicas, there] })),
    ),
    'a replica is on it',
  )
  t.notOk(
    isUnnamed(
      drive,
      recordOf((one) => ({ ...one, previous: [there] })),
    ),
    'or was, and counts',
  )
})

t.test('what is passed over in one decision changes nothing', async (t) => {
  const state = stateOf()
  t.equal(inOrder([markActive(1), closeDrive(1)])(state), undefined)
  const edited = inOrder([markActive(1), markOut(2, 'gone'), closeDrive(2)])(state)
  t.match(edited?.map.drives[1], { state: 'out', closedEpoch: state.epoch + 1 })
})
