// A metadata host over real LevelDBs: stops, kills, drives that go, replicas that are made.
import { cp } from 'node:fs/promises'
import t from 'tap'
import { dropReplicasOn } from '../../../src/placement/coordinator-changes.ts'
import { loseDirectory } from '../../support/lose-directory.ts'
import {
  type Bed,
  drivePath,
  killAndReopen,
  type Layout,
  Model,
  makeBed,
  reopenBed,
  stopAndReopen,
  tempRoot,
} from './metadata-testbed.ts'

const SIX: Layout = { driveCount: 6, replicaCount: 3, partitionCount: 4 }
const SEED = Number(process.env.SEED ?? 4711)
t.comment(`seed ${SEED}`)

/** Changes one after the other and some side by side. */
async function load(bed: Bed, model: Model, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) await model.change(bed)
}

t.test('rows that were appended are read, scanned, deleted', async (t) => {
  const bed = await makeBed(t, { driveCount: 2, replicaCount: 2, partitionCount: 1 })
  const { rows, append } = bed.host.partitionLog(0)
  const first = await append([
    { key: Buffer.from('a'), value: Buffer.from('1') },
    { key: Buffer.from('b'), value: Buffer.from('2') },
    { key: Buffer.from('c'), value: Buffer.from('3') },
  ])
  const second = await append([{ key: Buffer.from('b'), value: undefined }])
  t.equal(second.sequence, first.sequence + 1)
  t.same(await rows.get(Buffer.from('a')), Buffer.from('1'))
  t.equal(await rows.get(Buffer.from('b')), undefined)
  const cursor = rows.scan({ from: Buffer.from('a'), to: Buffer.from('c') })
  t.same(
    (await cursor.next(10)).map(({ key }) => String(key)),
    ['a'],
    'the end of a range is not in it',
  )
  await cursor.close()
  const jumping = rows.scan({ from: Buffer.from('a'), to: Buffer.from('z') })
  jumping.seek(Buffer.from('b'))
  t.same(
    (await jumping.next(1)).map(({ key }) => String(key)),
    ['c'],
  )
  t.same(await jumping.next(1), [])
  await jumping.close()
  await bed.close()
  await t.rejects(append([]), { code: 'METADATA_UNAVAILABLE' }, 'a closed log takes nothing')
})

t.test(
  'what is durable is told before its rows are applied, and they come by themselves or when they are wanted',
  async (t) => {
    const bed = await makeBed(t, { driveCount: 3, replicaCount: 3, partitionCount: 1 })
    const { rows, append, hurry } = bed.host.partitionLog(0)
    const key = Buffer.from('a')
    for (let round = 0; round < 20; round += 1) {
      const told: string[] = []
      const value = Buffer.from(`${round}`)
      const durable = new Promise<void>((resolve) => {
        void append([{ key, value }], resolve).then(() => told.push('readable'))
      }).then(() => told.push('durable'))
      await durable
      t.same(told, ['durable'])
      if (round % 2 === 0) hurry?.()
      await append([])
      t.same(told, ['durable', 'readable'])
      t.same(await rows.get(key), value)
    }
    const left = new Promise<void>((resolve) => void append([{ key, value: key }], resolve))
    await left
    const again = await killAndReopen(t, bed)
    t.same(await again.host.partitionLog(0).rows.get(key), key, 'no crash takes it back')
    await again.close()
  },
)

t.test('rows that were read are at hand, as they are after every change', async (t) => {
  const bed = await makeBed(t, { driveCount: 2, replicaCount: 2, partitionCount: 1 })
  const { rows, append } = bed.host.partitionLog(0)
  const key = Buffer.from('a')
  await append([{ key, value: Buffer.from('1') }])
  t.equal(rows.getAtHand?.(key), undefined, 'nobody has read it yet')
  await rows.get(key)
  t.same(rows.getAtHand?.(key)?.value, Buffer.from('1'))
  await append([{ key, value: Buffer.from('2') }])
  t.same(rows.getAtHand?.(key)?.value, Buffer.from('2'), 'as soon as the change is acknowledged')
  await append([{ key, value: undefined }])
  t.strictSame(rows.getAtHand?.(key)?.value, undefined)
  t.ok(rows.getAtHand?.(key), 'that there is none is known as well')
  await bed.close()
  t.equal(rows.getAtHand?.(key), undefined, 'a closed host answers nothing')
})

t.test('a clean stop and a kill keep every row', async (t) => {
  const model = new Model(SEED)
  let bed = await makeBed(t, SIX)
  await load(bed, model, 200)
  bed = await stopAndReopen(bed)
  t.same(await model.differences(bed), [])
  await load(bed, model, 200)
  bed = await killAndReopen(t, bed)
  t.same(await model.differences(bed), [])
  await load(bed, model, 50)
  bed = await killAndReopen(t, bed)
  t.same(await model.differences(bed), [])
  await bed.close()
})

t.test('any two of six drives may be gone at a start', async (t) => {
  const model = new Model(SEED + 1)
  const bed = await makeBed(t, SIX)
  await load(bed, model, 150)
  await bed.close()
  for (const [left, right] of [
    [1, 2],
    [2, 3],
    [1, 6],
    [3, 5],
  ] as const) {
    const root = await tempRoot(t)
    await cp(bed.root, root, { recursive: true })
    await loseDirectory(drivePath(root, left))
    await loseDirectory(drivePath(root, right))
    const less = await reopenBed(root, SIX)
    t.same(await model.differences(less), [], `without ${left} and ${right}`)
    await less.host.mend()
    const { metaPartitions } = less.coordinator.state
    t.ok(
      metaPartitions.every(({ inSync }) => inSync.length === 3),
      'replicas are made anew',
    )
    t.same(await model.differences(less), [])
    await less.close()
  }
})

t.test('two drives vanish one after the other while changes are made', async (t) => {
  const model = new Model(SEED + 2)
  let bed = await makeBed(t, SIX)
  await load(bed, model, 50)
  for (const driveId of [1, 2]) {
    const busy = Promise.all(Array.from({ length: 40 }, () => model.change(bed)))
    await loseDirectory(drivePath(bed.root, driveId))
    await busy
    await load(bed, model, 20)
    await bed.drives
      .get(driveId)!
      .checkPresence()
      .catch(() => {})
    await bed.host.driveFailed(driveId)
    const { metaPartitions } = bed.coordinator.state
    t.notOk(metaPartitions.some(({ inSync }) => inSync.some((one) => one.driveId === driveId)))
    t.same([...model.doubtful], [], 'everything was acknowledged')
    t.same(await model.differences(bed), [])
  }
  await bed.host.mend()
  t.ok(bed.coordinator.state.metaPartitions.every(({ inSync }) => inSync.length === 3))
  // Now two of those that are left.
  bed = await killAndReopen(t, bed, async (root) => {
    await loseDirectory(drivePath(root, 3))
    await loseDirectory(drivePath(root, 4))
  })
  t.same(await model.differences(bed), [])
  await bed.close()
})

t.test('a replica is made while changes go on, and is whole', async (t) => {
  const model = new Model(SEED + 3)
  let bed = await makeBed(t, { driveCount: 3, replicaCount: 2, partitionCount: 1 })
  await load(bed, model, 300)
  const [gone] = bed.coordinator.state.metaPartitions[0]!.inSync
  await bed.coordinator.decide(dropReplicasOn(gone!.driveId))
  const made = bed.host.mend()
  await Promise.all([made, load(bed, model, 100)])
  const set = bed.coordinator.state.metaPartitions[0]!.inSync
  t.equal(set.length, 2)
  t.notOk(set.some(({ incarnation }) => incarnation === gone!.incarnation))
  await load(bed, model, 20)
  // Only the new one is left.
  const fresh = set[1]!
  bed = await killAndReopen(t, bed, async (root) => {
    for (const { id } of bed.coordinator.state.map.drives) {
      if (id !== fresh.driveId) await loseDirectory(drivePath(root, id))
    }
  })
  t.same(await model.differences(bed), [])
  await bed.close()
})

t.test('with the last replica gone nothing is answered; with it back everything is', async (t) => {
  const model = new Model(SEED + 4)
  const layout = { driveCount: 2, replicaCount: 1, partitionCount: 2 }
  const bed = await makeBed(t, layout)
  await load(bed, model, 40)
  await bed.close()
  const root = await tempRoot(t)
  await cp(bed.root, root, { recursive: true })
  const { driveId } = bed.coordinator.state.metaPartitions[0]!.inSync[0]!
  await loseDirectory(drivePath(root, driveId))
  const half = await reopenBed(root, layout)
  const { rows, append } = half.host.partitionLog(0)
  await t.rejects(rows.get(Buffer.from('k1')), { code: 'METADATA_UNAVAILABLE' })
  await t.rejects(append([]), { code: 'METADATA_UNAVAILABLE' })
  t.ok(await half.host.partitionLog(1).append([]), 'the other partition goes on')
  await half.close()
  await cp(drivePath(bed.root, driveId), drivePath(root, driveId), { recursive: true })
  const whole = await reopenBed(root, layout)
  t.same(await model.differences(whole), [])
  await whole.close()
})
