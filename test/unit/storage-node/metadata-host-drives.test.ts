// Drives that come and go while a metadata host serves: closed when they fail, taken in again or anew, and let go.
import { cp, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { dropReplicasOn, markActive } from '../../../src/placement/coordinator-changes.ts'
import { Drive } from '../../../src/storage-node/drive.ts'
import { DRIVE_FORMAT, formatDrive, inspectDrive } from '../../../src/storage-node/drive-format.ts'
import {
  type Bed,
  drivePath,
  type Layout,
  Model,
  makeBed,
  reopenBed,
  testWorld,
} from './metadata-testbed.ts'

const world = testWorld()
const THREE: Layout = { driveCount: 3, replicaCount: 2, partitionCount: 4 }
const SEED = Number(process.env.SEED ?? 4712)
t.comment(`seed ${SEED}`)

function replicasOn({ coordinator }: Bed, driveId: number): number {
  const { metaPartitions } = coordinator.state
  return metaPartitions.filter(({ inSync }) => inSync.some((one) => one.driveId === driveId)).length
}

async function load(bed: Bed, model: Model, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) await model.change(bed)
}

/** Opens the drive that lies in the directory of `id`, as the store would. */
async function openAgain(bed: Bed, id: number): Promise<Drive> {
  const path = drivePath(bed.root, id)
  const found = await inspectDrive(world, path)
  if (found.kind !== 'formatted') throw new Error(found.kind)
  const drive = await Drive.open(world, path, found.marker)
  try {
    await bed.coordinator.addDrive(drive)
    await bed.host.addDrive(drive)
  } catch (error) {
    await drive.close()
    throw error
  }
  bed.drives.set(id, drive)
  return drive
}

t.test('a drive that failed is closed, and back again it gets replicas anew', async (t) => {
  const model = new Model(SEED)
  const bed = await makeBed(t, THREE)
  await load(bed, model, 100)
  const aside = join(bed.root, 'aside')
  await rename(drivePath(bed.root, 2), aside)
  const old = bed.drives.get(2)!
  old.fail(new Error('its directory is gone'))
  await bed.host.closeDrive(2)
  await old.close()
  t.equal(replicasOn(bed, 2), 0)
  await load(bed, model, 100)
  await bed.host.mend()

  await rename(aside, drivePath(bed.root, 2))
  await openAgain(bed, 2)
  t.equal(bed.coordinator.state.map.drives[1]!.state, 'out', 'its place is another decision')
  await bed.coordinator.decide(markActive(2))
  await bed.coordinator.decide(dropReplicasOn(1))
  await bed.host.mend()
  t.ok(replicasOn(bed, 2) > 0, 'it has replicas again')
  await load(bed, model, 100)
  t.same(await model.differences(bed), [])

  bed.drives.get(2)!.fail(new Error('again'))
  await bed.host.closeDrive(2)
  t.equal(replicasOn(bed, 2), 0, 'a second failure is heard of as well')
  await load(bed, model, 20)
  await bed.host.mend()
  await bed.close()
  const next = await reopenBed(bed.root, THREE)
  t.same(await model.differences(next), [])
  await next.close()
})

t.test('a new drive takes replicas; one without any is let go', async (t) => {
  const model = new Model(SEED + 1)
  const bed = await makeBed(t, THREE)
  await load(bed, model, 60)
  const marker = {
    format: DRIVE_FORMAT,
    clusterId: 'test',
    driveId: 4,
    uuid: 'uuid-4',
    createdMs: 0,
  }
  await mkdir(drivePath(bed.root, 4))
  await formatDrive(world, drivePath(bed.root, 4), marker)
  await openAgain(bed, 4)
  const enter = (state: ClusterState) => {
    const drive = { id: 4, uuid: 'uuid-4', weight: 1, state: 'active' as const }
    return { ...state, map: { ...state.map, drives: [...state.map.drives, drive] } }
  }
  await bed.coordinator.decide(enter)
  await bed.coordinator.decide(dropReplicasOn(1))
  await bed.host.mend()
  t.ok(replicasOn(bed, 4) > 0)
  await load(bed, model, 60)
  t.same(await model.differences(bed), [])

  await bed.coordinator.decide(dropReplicasOn(4))
  await bed.host.closeDrive(4)
  await bed.coordinator.forgetDrive(bed.drives.get(4)!)
  await bed.drives.get(4)!.close()
  bed.drives.delete(4)
  t.ok(await inspectDrive(world, drivePath(bed.root, 4)), 'its directory stays as it is')
  await load(bed, model, 20)
  t.same(await model.differences(bed), [])
  await bed.close()
})

t.test('a drive with the last replica is recovered by a start alone', async (t) => {
  const model = new Model(SEED + 2)
  const bed = await makeBed(t, { driveCount: 2, replicaCount: 1, partitionCount: 2 })
  await load(bed, model, 30)
  const copy = join(bed.root, 'copy')
  const old = bed.drives.get(2)!
  old.fail(new Error('gone'))
  await bed.host.closeDrive(2)
  await old.close()
  await cp(drivePath(bed.root, 2), copy, { recursive: true })
  await t.rejects(openAgain(bed, 2), { code: 'NEEDS_START' })
  await bed.close()
  await rm(copy, { recursive: true })
})

t.test('replicas leave a drive that is to be emptied, and none is ever missing', async (t) => {
  const model = new Model(SEED + 3)
  const bed = await makeBed(t, THREE)
  await load(bed, model, 100)
  t.ok(replicasOn(bed, 2) > 0)
  let fewest = Number.POSITIVE_INFINITY
  bed.coordinator.watch(({ metaPartitions }) => {
    fewest = Math.min(fewest, ...metaPartitions.map(({ inSync }) => inSync.length))
  })
  await bed.coordinator.decide((state) => {
    const leave = { ...state.map.drives[1]!, state: 'draining' as const, isLeaving: true as const }
    return { ...state, map: { ...state.map, drives: state.map.drives.with(1, leave) } }
  })
  const mending = bed.host.mend()
  await load(bed, model, 60)
  await mending
  t.equal(replicasOn(bed, 2), 0)
  t.equal(replicasOn(bed, 1), 4)
  t.equal(replicasOn(bed, 3), 4)
  t.equal(fewest, 2)
  await load(bed, model, 60)
  t.same(await model.differences(bed), [])
  await bed.close()
  const next = await reopenBed(bed.root, THREE)
  t.same(await model.differences(next), [])
  await next.close()
})
