// Drives are seen out of a cluster: what leaders count, what they refuse meanwhile, and what keeps a drive.
import t from 'tap'
import { closedDriveNamedBy } from '../../../src/cluster/closed-drives.ts'
import { DepartureCounts } from '../../../src/cluster/departure-counts.ts'
import { seeDrivesOut } from '../../../src/cluster/departures.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { newUid } from '../../../src/kit/uid.ts'
import type { Command } from '../../../src/metadata/contract.ts'
import { drainDrive, markOut } from '../../../src/placement/coordinator-changes.ts'
import { closeDrive } from '../../../src/placement/departure.ts'
import type { PartitionRecord } from '../../../src/placement/etcd/leadership.ts'
import type { DrivesOfNode } from '../../../src/storage-node/rpc/drive-messages.ts'
import { Seeded } from '../../support/seeded.ts'
import { allBlobs, UpkeepFixture } from '../storage-node/upkeep/upkeep-fixture.ts'

const random = new Seeded(91)
const LEAVING = 6

/** A store whose metadata is led by two nodes, and drive 6 of which is to leave. */
async function openCluster() {
  const fixture = await UpkeepFixture.open(7)
  const { coordinator, partitions, parts } = fixture.store
  const records = new Map<number, PartitionRecord>()
  const setLeader = (partition: number, driveId: number, epoch: number): void => {
    const primary = { driveId, incarnation: `i${epoch}` }
    records.set(partition, { epoch, id: 'x', primary, replicas: [primary] })
  }
  for (const { id } of partitions) setLeader(id, (id % 2) + 1, 1)
  const nodes = [1, 2].map((driveId) => {
    const led = () => partitions.filter(({ id }) => records.get(id)?.primary?.driveId === driveId)
    /** By epochs that are not those of the records any more. */
    const reigns = new Map<number, number>()
    const node = { named: 0, isSilent: false, reigns }
    const counts = new DepartureCounts({
      ...{ world: parts.world, log: silentLog, coordinator },
      led: {
        list: led,
        find: (id) => led().find((one) => one.id === id),
        epochOf: (id) => node.reigns.get(id) ?? records.get(id)?.epoch,
      },
      onNamed: () => {
        node.named += 1
      },
    })
    t.teardown(() => counts.stop())
    return { ...node, node, counts, led, driveId }
  })
  const countOf = async (partitionsLed: ReturnType<(typeof nodes)[number]['led']>) => {
    const all = await allBlobs({ ...fixture.store, partitions: partitionsLed })
    return all.filter(({ blob }) => blob.drives.includes(LEAVING)).length
  }
  let oldCopies = 0
  const describe = async (nodeId: string): Promise<DrivesOfNode> => {
    const { node, counts, led } = nodes.find(({ driveId }) => `n${driveId}` === nodeId)!
    if (node.isSilent) throw new Error('silent')
    const blobs = await countOf(led())
    return {
      ...{ epoch: coordinator.state.epoch, drives: [], counts: [...counts.counts] },
      leaving: [{ driveId: LEAVING, blobs, oldCopies }],
      moves: { phase: 'idle', movedShards: 0, movedBytes: 0, anewBlobs: 0 },
    }
  }
  const look = () =>
    seeDrivesOut({
      ...{ world: parts.world, log: silentLog, describe },
      coordinator: {
        get state() {
          return coordinator.state
        },
        decide: (change) => coordinator.decide(change),
        refresh: async () => coordinator.state,
      },
      records: { get: (id) => records.get(id) },
      nodeOf: (driveId) => `n${driveId}`,
    })
  const { signal } = new AbortController()
  return {
    ...{ fixture, coordinator, records, nodes, look, setLeader },
    count: () => Promise.all(nodes.map(({ counts }) => counts.look(signal))),
    drive: () => coordinator.state.map.drives.find(({ id }) => id === LEAVING),
    keep: (copies: number) => {
      oldCopies = copies
    },
  }
}

/** Objects of which one names the drive; deleting it stands for moving it. */
async function fill({ fixture }: Awaited<ReturnType<typeof openCluster>>): Promise<string[]> {
  const keys = Array.from({ length: 12 }, (_, at) => `k${at}`)
  for (const key of keys) await fixture.put(key, random.bytes(2_000))
  const all = await allBlobs(fixture.store)
  return all.filter(({ blob }) => blob.drives.includes(LEAVING)).flatMap(({ key }) => key ?? [])
}

t.test('a drive goes when nothing names it any more, and not before', async (t) => {
  const cluster = await openCluster()
  const { coordinator, fixture, look, count, drive, nodes } = cluster
  const named = await fill(cluster)
  t.not(named.length, 0)
  await look()
  t.equal(drive()?.closedEpoch, undefined, 'one in service is left alone')
  await coordinator.decide(drainDrive(LEAVING))
  await look()
  t.equal(drive()?.closedEpoch, undefined, 'rows name it')
  const { objects, bucket } = fixture.store
  for (const key of named) await objects.delete(bucket, key, { conditions: {} })
  cluster.keep(1)
  await look()
  t.equal(drive()?.closedEpoch, undefined, 'readers may be at copies that moved')
  cluster.keep(0)
  await look()
  t.ok(drive()?.closedEpoch)
  await look()
  t.notOk(drive()?.isVacated, 'nobody has counted since it was closed')
  await count()
  nodes[1]!.node.isSilent = true
  await look()
  t.notOk(drive()?.isVacated, 'one who leads says nothing')
  nodes[1]!.node.isSilent = false
  await look()
  t.equal(drive()?.isVacated, true)
})

t.test('a count is worth nothing once another leads', async (t) => {
  const { coordinator, look, count, drive, setLeader, records } = await openCluster()
  await coordinator.decide(drainDrive(LEAVING))
  await look()
  await count()
  setLeader(0, 2, 2)
  await look()
  t.notOk(drive()?.isVacated)
  await count()
  records.set(1, { epoch: 1, id: 'x', replicas: [] })
  await look()
  t.notOk(drive()?.isVacated, 'a partition that nobody leads')
  setLeader(1, LEAVING, 1)
  await look()
  t.notOk(drive()?.isVacated, 'a replica is on the drive')
  setLeader(1, 1, 3)
  await count()
  await look()
  t.equal(drive()?.isVacated, true)
})

t.test('who has not heard yet that it is deposed counts for its own epoch', async (t) => {
  const { coordinator, look, count, drive, nodes, setLeader } = await openCluster()
  await coordinator.decide(drainDrive(LEAVING))
  await look()
  setLeader(0, 1, 2)
  for (const { node } of nodes) node.reigns.set(0, 1)
  await count()
  await look()
  t.notOk(drive()?.isVacated, 'the record is of another reign than the count')
  for (const { node } of nodes) node.reigns.delete(0)
  await count()
  await look()
  t.equal(drive()?.isVacated, true)
})

t.test('what was written late is found, and moved before the drive goes', async (t) => {
  const cluster = await openCluster()
  const { coordinator, fixture, look, count, drive, nodes } = cluster
  const named = await fill(cluster)
  // Closed too early, as by one who was mistaken about what is left.
  await coordinator.decide(markOut(LEAVING, 'a test'))
  await coordinator.decide(closeDrive(LEAVING))
  await count()
  await look()
  t.notOk(drive()?.isVacated)
  t.ok(
    nodes.some(({ node }) => node.named > 0),
    'whoever moves shards is told',
  )
  for (const key of named)
    await fixture.store.objects.delete(fixture.store.bucket, key, { conditions: {} })
  await count()
  await look()
  t.notOk(drive()?.isVacated, 'it is not counted again at once')
})

t.test('commands that would name a closed drive are told apart', async (t) => {
  const { coordinator, fixture } = await openCluster()
  const named = await fill({ fixture } as Awaited<ReturnType<typeof openCluster>>)
  const { rowKey, blob } = await fixture.reference(named[0]!)
  const commandId = newUid(fixture.store.parts.world)
  const others = blob.drives.map((driveId) => (driveId === LEAVING ? 7 : driveId))
  const base = { commandId, rowKey, uid: blob.uid, part: blob.part }
  const away: Command = { kind: 'move-blob', ...base, from: blob.drives, drives: others }
  const back: Command = { kind: 'move-blob', ...base, from: others, drives: blob.drives }
  const beside: Command = { kind: 'move-blob', ...base, from: blob.drives, drives: blob.drives }
  const anew: Command = {
    ...{ kind: 'replace-blob', commandId, rowKey, uid: blob.uid, bucketId: 1 },
    blob,
  }
  const { map } = coordinator.state
  for (const command of [away, back, beside, anew])
    t.equal(closedDriveNamedBy(map, command), undefined, 'nothing is closed')
  await coordinator.decide(drainDrive(LEAVING))
  const closed = (await coordinator.decide(closeDrive(LEAVING))).map
  t.equal(closedDriveNamedBy(closed, away), undefined)
  t.equal(
    closedDriveNamedBy(closed, beside),
    undefined,
    'what names it already may be written again',
  )
  t.equal(closedDriveNamedBy(closed, back), LEAVING)
  t.equal(closedDriveNamedBy(closed, anew), LEAVING)
  const part = { number: 1, bytes: 1, etag: 'e', blob }
  const bucket = { id: 1, revision: 1, versioning: 'unversioned' } as const
  const put: Command = {
    ...{ kind: 'put-part', commandId, bucket, key: 'k', uploadId: commandId, part },
  }
  t.equal(closedDriveNamedBy(closed, put), LEAVING)
  const gone = { drives: closed.drives.filter(({ id }) => id !== LEAVING), removed: [LEAVING] }
  t.equal(closedDriveNamedBy(gone, put), LEAVING, 'of a drive that was removed')
})
