// Dumps of metadata while drives leave and fail: on which drives they lie, which copies count, and when another one is taken.
import t, { type Test } from 'tap'
import type { MapDrive } from '../../../src/placement/cluster-map.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { planOfStore } from '../../../src/storage-node/dump/dump-plan.ts'
import { DAY, DumpBed, HOUR } from './dump-fixture.ts'

/** Six drives with code 1+2, replicas on the first three, and the map of them. */
async function open(test: Test): Promise<{ bed: DumpBed; map: ClusterState['map'] }> {
  const bed = await DumpBed.open(test, 6)
  const drives = bed.drives.map(
    ({ id }): MapDrive => ({ id, uuid: `u${id}`, weight: 1, state: 'active' }),
  )
  const map = { code: { dataCount: 1, parityCount: 2, matrix: 1 }, drives } as ClusterState['map']
  const inSync = [1, 2, 3].map((driveId) => ({ driveId }))
  const state = { clusterId: 'c', map, metaPartitions: [{ inSync }] } as unknown as ClusterState
  const coordinator = { state }
  const host = { snapshot: async () => Promise.reject(new Error('the rows are those of the bed')) }
  const { rows } = bed.plan
  bed.plan = { ...planOfStore({ host, coordinator }), rows }
  return { bed, map }
}

function drain(map: ClusterState['map'], ids: readonly number[]): void {
  map.drives = map.drives.map((drive) =>
    ids.includes(drive.id) ? { ...drive, state: 'draining', isLeaving: true } : drive,
  )
}

async function drivesOf(bed: DumpBed): Promise<number[][]> {
  return (await bed.seen()).map(({ drives }) => drives)
}

t.test('drives that are emptied get no dump, as long as others are enough', async (t) => {
  const { bed, map } = await open(t)
  drain(map, [4, 5, 6])
  await bed.look()
  t.same(await drivesOf(bed), [[1, 2, 3]])
  drain(map, [2, 3])
  bed.pass(7 * DAY)
  await bed.look()
  t.same((await drivesOf(bed))[0], [1, 2, 3], 'then they are better than none')
  t.equal(bed.dumps.ageMs(), 0, 'there can be no more copies than one that stays')
  drain(map, [1])
  t.same(
    bed.plan.drivesFor(0, bed.drives).map(({ id }) => id),
    [4, 5, 6],
    'when all of them leave, all count',
  )
})

t.test('what lies on drives that are being emptied is taken anew before they go', async (t) => {
  const { bed, map } = await open(t)
  await bed.look()
  t.same(await drivesOf(bed), [[4, 5, 6]])
  drain(map, [5, 6])
  t.equal(bed.dumps.ageMs(), undefined, 'one copy that stays is not enough')
  await bed.look()
  bed.pass(HOUR / 2)
  t.equal((await bed.look()).length, 1, 'the drain may be called off')
  bed.pass(HOUR / 2)
  t.same((await bed.look())[0]!.drives, [1, 2, 4])
  t.equal(bed.dumps.ageMs(), 0)
  bed.pass(HOUR)
  t.equal((await bed.look()).length, 2, 'once')
})

t.test('drives that are gone take their dumps with them, and it is noticed', async (t) => {
  const { bed, map } = await open(t)
  await bed.look()
  bed.pass(DAY)
  bed.drives = bed.drives.slice(0, 3)
  map.drives = map.drives.slice(0, 3)
  t.equal(bed.dumps.ageMs(), undefined)
  t.same((await bed.look())[0]!.drives, [1, 2, 3], 'none is left: another is taken at once')
  t.equal(bed.dumps.ageMs(), 0)
})

t.test('a drive that fails: another dump, unless it is back soon', async (t) => {
  const { bed } = await open(t)
  const [, , , fourth] = bed.drives
  await bed.look()
  bed.pass(DAY)
  fourth!.failure = new Error('a test')
  t.equal(bed.dumps.ageMs(), undefined)
  await bed.look()
  bed.pass(HOUR / 2)
  fourth!.failure = undefined
  t.equal((await bed.look()).length, 1)
  t.equal(bed.dumps.ageMs(), DAY + HOUR / 2)
  fourth!.failure = new Error('a test')
  await bed.look()
  bed.pass(HOUR)
  t.same((await bed.look())[0]!.drives, [1, 5, 6])
})

t.test('a drive that takes no dump costs one a week, not one at every look', async (t) => {
  const { bed } = await open(t)
  bed.drives[3]!.syncFile = async () => Promise.reject(new Error('a test'))
  await bed.look()
  t.same(await drivesOf(bed), [[5, 6]])
  t.equal(bed.dumps.ageMs(), undefined, 'it is said that copies are missing')
  for (let day = 1; day <= 6; day += 1) {
    bed.pass(DAY)
    t.equal((await bed.look()).length, 1)
  }
  bed.pass(DAY)
  t.equal((await bed.look()).length, 2)
})
