// Files of metadata are damaged on up to two drives: nothing wrong is returned and nothing is lost.
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  type Bed,
  drivePath,
  killAndReopen,
  type Layout,
  Model,
  makeBed,
  SMALL,
  seeded,
  stopAndReopen,
} from './metadata-testbed.ts'

const SIX: Layout = { driveCount: 6, replicaCount: 3, partitionCount: 4 }
const SEED = Number(process.env.SEED ?? 815)
const ROUNDS = Number(process.env.ROUNDS ?? 4)
t.comment(`seed ${SEED}`)

type Random = () => number

async function flip(path: string, random: Random, count: number): Promise<void> {
  const bytes = await readFile(path)
  if (bytes.length === 0) return
  for (let index = 0; index < count; index += 1) {
    bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8)
  }
  await writeFile(path, bytes)
}

/** Damages files of metadata on one drive: flipped bits, cut or missing files. */
async function damageDrive(path: string, random: Random): Promise<void> {
  for (const directory of ['metalog', 'meta.db']) {
    for (const name of await readdir(join(path, directory))) {
      const file = join(path, directory, name)
      const dice = random()
      if (dice < 0.5) await flip(file, random, 1 + Math.floor(random() * 20))
      else if (dice < 0.6) await rm(file)
      else if (dice < 0.7) await truncate(file, Math.floor(random() * 4096))
    }
  }
}

async function load(bed: Bed, model: Model, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) await model.change(bed)
}

for (let round = 0; round < ROUNDS; round += 1) {
  const seed = SEED + round
  t.test(`two drives are damaged while the store is down, seed ${seed}`, async (t) => {
    const random = seeded(seed)
    const model = new Model(seed)
    let bed = await makeBed(t, SIX)
    await load(bed, model, 150)
    // Rows that were written twice: an older one may come to light when the newer one rots.
    for (const id of [0, 1, 2, 3]) await bed.host.partitionLog(id).append([])
    const damage = async (root: string): Promise<void> => {
      const first = 1 + Math.floor(random() * 6)
      const second = 1 + ((first + Math.floor(random() * 5)) % 6)
      await damageDrive(drivePath(root, first), random)
      await damageDrive(drivePath(root, second), random)
    }
    bed = round % 2 === 0 ? await stopAndReopen(bed, damage) : await killAndReopen(t, bed, damage)
    t.same(await model.differences(bed), [])
    await load(bed, model, 50)
    await bed.host.mend()
    t.same(await model.differences(bed), [])
    const { metaPartitions } = bed.coordinator.state
    t.ok(
      metaPartitions.every(({ inSync }) => inSync.length === 3),
      'every replica is whole again',
    )
    // The next two: what was mended has to carry.
    bed = await killAndReopen(t, bed, damage)
    t.same(await model.differences(bed), [])
    await bed.close()
  })
}

/** A host with several tables under every drive, older rows in some and newer in others. */
async function makeLayers(test: Test, model: Model): Promise<Bed> {
  const limits = { ...SMALL, markerMs: 3_600_000, inspectMs: 3_600_000 }
  const bed = await makeBed(test, { driveCount: 4, replicaCount: 3, partitionCount: 2 }, limits)
  await load(bed, model, 300)
  await bed.host.mark()
  await load(bed, model, 300)
  await bed.host.mark()
  await settledTables(bed)
  return bed
}

/** LevelDB compacts by itself, and a table that rots under a compaction ends the process: nothing we could catch. */
async function settledTables(bed: Bed): Promise<void> {
  let before = ''
  let quietRounds = 0
  for (let round = 0; round < 100 && quietRounds < 5; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    const now = JSON.stringify(await Promise.all([1, 2, 3, 4].map((id) => tablesOf(bed, id))))
    quietRounds = now === before ? quietRounds + 1 : 0
    before = now
  }
}

async function tablesOf(bed: Bed, driveId: number): Promise<string[]> {
  const directory = join(drivePath(bed.root, driveId), 'meta.db')
  const names = await readdir(directory)
  return names.filter((name) => name.endsWith('.ldb')).map((name) => join(directory, name))
}

t.test('values that rot while the store serves are never returned', async (t) => {
  const random = seeded(SEED)
  const model = new Model(SEED)
  const bed = await makeLayers(t, model)
  for (const id of [1, 2]) {
    for (const path of await tablesOf(bed, id)) {
      const bytes = await readFile(path)
      // Digits of values only: LevelDB ends the process when it meets damage in its own structures.
      for (let at = bytes.indexOf('0.'); at >= 0; at = bytes.indexOf('0.', at + 1)) {
        if (random() < 0.1) bytes[at + 2]! ^= 1
      }
      await writeFile(path, bytes)
    }
  }
  t.same(await model.differences(bed), [])
  await bed.host.inspect()
  await bed.host.mend()
  t.same(await model.differences(bed), [])
  await bed.close()
})

t.test('tables that rot while the store serves are found before they are read', async (t) => {
  const random = seeded(SEED)
  const model = new Model(SEED)
  const bed = await makeLayers(t, model)
  for (const id of [1, 2]) for (const path of await tablesOf(bed, id)) await flip(path, random, 40)
  await bed.host.inspect()
  await bed.host.mend()
  t.same(await model.differences(bed), [])
  t.ok(bed.coordinator.state.metaPartitions.every(({ inSync }) => inSync.length === 3))
  await bed.close()
})
