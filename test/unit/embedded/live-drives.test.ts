// Drives that join a running store and leave it: nothing of one stays behind, however far it came.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DriveCommands } from '../../../src/embedded/drive-commands.ts'
import { LiveDrives } from '../../../src/embedded/live-drives.ts'
import { makeDrive } from '../../../src/embedded/make-drive.ts'
import { DriveObservers } from '../../../src/embedded/open-care.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { type OpenLevel, openLevelDb } from '../../../src/storage-node/drive-lock.ts'
import { SpaceWatch } from '../../../src/storage-node/space/space-watch.ts'
import type { FoundDrive } from '../../../src/storage-node/start-plan.ts'
import { openMemoryStore } from '../objects/memory-store.ts'

/** A store without drives, which open LevelDB as a test wants it. */
async function openLive(t: Test, openLevel: OpenLevel = openLevelDb) {
  const { coordinator } = await openMemoryStore()
  const observers = new DriveObservers(realWorld())
  const { world } = observers
  const parts = { world, log: silentLog }
  const space = new SpaceWatch({ ballastBytes: 0 }, parts)
  const decisions = {
    decide: coordinator.decide.bind(coordinator),
    addDrive: async () => {},
    forgetDrive: async () => {},
  }
  const tuning = { openLevel }
  const live = new LiveDrives([], { ...parts, coordinator: decisions, space, tuning, observers })
  t.teardown(async () => {
    await live.closeShards()
    await live.close()
  })
  return { coordinator, observers, world, space, live }
}

async function newDrive(t: Test, driveId: number): Promise<FoundDrive> {
  const path = join(t.testdir(), 'drive')
  return { path, marker: await makeDrive(path, { clusterId: 'one', driveId }, realWorld()) }
}

t.test('a drive whose shards do not open leaves nothing behind, and may try again', async (t) => {
  let opens = false
  const { live, space, observers } = await openLive(t, async (path, sizes) => {
    if (!opens && path.endsWith('shards.db')) throw new Error('it does not open')
    return await openLevelDb(path, sizes)
  })
  const found = await newDrive(t, 3)
  await t.rejects(live.join(found), /it does not open/)
  t.same([...space.spaces().keys()], [], 'nobody asks it for its space')
  t.same([...observers.healths.keys()], [])
  opens = true
  await live.join(found)
  t.same([...space.spaces().keys()], [3])
  t.same([...observers.healths.keys()], [3])
})

t.test('a drive that leaves is observed no more', async (t) => {
  const { live, space, observers } = await openLive(t)
  const { path } = await live.join(await newDrive(t, 3))
  const health = observers.healths.get(3)!
  await live.leave(3)
  t.same([...space.spaces().keys()], [])
  t.same([...observers.healths.keys()], [])
  const before = health.lastDone('other')
  await observers.world.disk.list(path)
  t.equal(health.lastDone('other'), before)
})

t.test('a drive that could not be weighed or made welcome may be added again', async (t) => {
  const { live, coordinator, world } = await openLive(t)
  const path = join(t.testdir(), 'new')
  let isWelcome = false
  const commands = new DriveCommands({
    ...{ world, coordinator, drives: live, refuseForRoom: async () => undefined },
    welcome: async () => {
      if (!isWelcome) throw new Error('it can not be written to')
    },
  })
  await t.rejects(commands.add({ path }), /it can not be written to/)
  t.same(live.list(), [])
  isWelcome = true
  t.match(await commands.add({ path, weight: 1 }), { kind: 'done' })
  t.equal(live.list().length, 1)
})
