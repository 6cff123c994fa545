// Drives that hang, err or turn read-only under a mixed load: they are put out, the others go on while they still hang,
// nothing that was acknowledged is lost and no byte is wrong. LevelDB is native: its files stay well.
// SICK_SECONDS=30 is the long form. Times are printed and decide nothing.
import { rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { CareTuning } from '../../src/embedded/open-care.ts'
import { realWorld } from '../../src/kit/world.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { SickDisk, type Sickness } from '../support/sick-disk.ts'
import {
  newDirectories,
  openSickStore,
  quantileOf,
  SickLoad,
  type SickStore,
} from '../support/sick-store.ts'

const seed = seedOfRun()
t.comment(`SEED=${seed}`)
const sickMs = Number(process.env.SICK_SECONDS ?? 1) * 1000

// Probes come often, so that a drive is back soon; the judgement is the usual one.
const SOON: CareTuning = {
  limits: { probesAfterHang: 2 },
  probes: { presenceMs: 200, writeMs: 200 },
}

function stateOf({ storage }: SickStore, driveId: number) {
  return storage.coordinator.state.map.drives.find(({ id }) => id === driveId)
}

/** Resolves once it is so; the test's own deadline ends what never comes. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(20)
}

async function sickStore(t: Test, driveCount: number) {
  const { directories, remove } = await newDirectories(driveCount)
  t.teardown(remove)
  const store = await openSickStore(directories, SOON)
  const load = new SickLoad(store, new Seeded(seed + driveCount))
  return { store, load, directories, running: load.run(4) }
}

async function checkTwice(t: Test, store: SickStore, load: SickLoad, directories: string[]) {
  await load.checkAll()
  await store.close()
  const again = await openSickStore(directories, SOON)
  const count = await load.checkAll(again)
  t.same(load.troubles, [], `${count} objects, before and after a restart`)
  await again.close()
}

for (const driveCount of [6, 8]) {
  t.test(`one of ${driveCount} drives hangs for a while`, { timeout: 600_000 }, async (t) => {
    const { store, load, directories, running } = await sickStore(t, driveCount)
    await until(() => load.measured.length > 30)
    const sick = 2
    const hangsMs = performance.now()
    store.disk.infect(directories[sick - 1]!, { kind: 'hangs' })
    await until(() => stateOf(store, sick)?.state === 'out')
    t.comment(`out after ${Math.round(performance.now() - hangsMs)} ms`)
    t.match(stateOf(store, sick), { state: 'out', reason: /hangs/ })
    t.equal(store.storage.care.conditionOf(sick), 'hanging')
    const before = load.measured.length
    await sleep(sickMs)
    await until(() => load.measured.length > before + 30)
    t.ok(store.disk.hanging > 0, 'the others went on while it still hung')
    t.equal(store.storage.drives.find(sick)?.failure, undefined, 'it has not failed')
    const curedMs = performance.now()
    store.disk.cure(directories[sick - 1]!)
    await until(() => stateOf(store, sick)?.state === 'active')
    t.comment(`back after ${Math.round(performance.now() - curedMs)} ms`)
    await until(() => store.storage.care.conditionOf(sick) === 'healthy')
    load.stop()
    await running
    const during = load.measured.filter(
      ({ beganMs, tookMs }) => beganMs + tookMs >= hangsMs && beganMs < curedMs,
    )
    t.comment(`${during.length} requests meanwhile, p99 ${quantileOf(during, 0.99).toFixed(0)} ms`)
    await checkTwice(t, store, load, directories)
  })
}

t.test('all drives hang together: nobody is blamed', { timeout: 600_000 }, async (t) => {
  const { store, load, directories, running } = await sickStore(t, 6)
  await until(() => load.measured.length > 30)
  for (const directory of directories) store.disk.infect(directory, { kind: 'hangs' })
  await sleep(2_500)
  const { drives } = store.storage.coordinator.state.map
  for (const { id, state } of drives) t.equal(state, 'active', `drive ${id}`)
  for (const directory of directories) store.disk.cure(directory)
  const before = load.measured.length
  await until(() => load.measured.length > before + 20)
  load.stop()
  await running
  // On a busy machine one comes after the others, which may be held against it for a moment.
  const isActive = ({ state }: { state: string }): boolean => state === 'active'
  await until(() => store.storage.coordinator.state.map.drives.every(isActive))
  await checkTwice(t, store, load, directories)
})

const deadly: [string, Sickness][] = [
  ['is read-only', { kind: 'read-only' }],
  ['errs', { kind: 'errs', oneIn: 10 }],
]

for (const [what, sickness] of deadly) {
  t.test(`a drive that ${what} is out, without traffic`, { timeout: 600_000 }, async (t) => {
    const { directories, remove } = await newDirectories(6)
    t.teardown(remove)
    const store = await openSickStore(directories, SOON)
    store.disk.infect(directories[3]!, sickness)
    await until(() => stateOf(store, 4)?.state === 'out')
    t.equal(store.storage.care.conditionOf(4), 'failed')
    const load = new SickLoad(store, new Seeded(seed))
    const running = load.run(2)
    await until(() => load.measured.length > 20)
    load.stop()
    await running
    store.disk.cure(directories[3]!)
    await checkTwice(t, store, load, directories)
  })
}

t.test('bad sectors cost shards, many of them the drive', { timeout: 600_000 }, async (t) => {
  const { store, load, directories, running } = await sickStore(t, 8)
  await until(() => load.measured.length > 30)
  const sick = 5
  const shards = ['seg', 'big'].map((name) => `${directories[sick - 1]}/${name}`)
  const mended = () => store.storage.healer.progress().mendedShards
  for (const path of shards) store.disk.infect(path, { kind: 'unreadable', oneIn: 8 })
  await until(() => store.disk.errors > 0)
  if (store.disk.errors < 5) t.equal(stateOf(store, sick)?.state, 'active', 'one costs no drive')
  await until(() => mended() > 0)
  await until(() => stateOf(store, sick)?.state === 'out')
  t.match(stateOf(store, sick), { state: 'out', reason: /it errs: \d+ errors/ })
  t.equal(store.storage.drives.find(sick)?.failure, undefined, 'it has not failed')
  t.equal(store.storage.care.conditionOf(sick), 'erroring')
  for (const path of shards) store.disk.cure(path)
  load.stop()
  await running
  await checkTwice(t, store, load, directories)
})

t.test('a drive that is no use at the start is one drive less', { timeout: 600_000 }, async (t) => {
  const { directories, remove } = await newDirectories(6)
  t.teardown(remove)
  const store = await openSickStore(directories, SOON)
  const load = new SickLoad(store, new Seeded(seed))
  const running = load.run(2)
  await until(() => load.measured.length > 20)
  load.stop()
  await running
  await store.close()
  await rm(`${directories[4]}/lock`, { recursive: true })
  await writeFile(`${directories[4]}/lock`, 'no directory any more')
  const disk = new SickDisk(realWorld().disk)
  disk.infect(directories[1]!, { kind: 'read-only' })
  const again = await openSickStore(directories, SOON, { disk })
  t.match(stateOf(again, 5), { state: 'out', reason: /can not be opened/ })
  t.match(stateOf(again, 2), { state: 'out', reason: /EROFS/ })
  await load.checkAll(again)
  t.same(load.troubles, [], 'everything is there')
  await again.close()
})
