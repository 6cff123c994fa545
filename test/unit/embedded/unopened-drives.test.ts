// A start at which drives are there and do not open: few are put aside; where too many do not, nothing could be read.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type OpenLevel, openLevelDb } from '../../../src/storage-node/drive-lock.ts'
import { Seeded } from '../../support/seeded.ts'
import { newDirectories, openSickStore, SickLoad } from '../../support/sick-store.ts'

const FULL = 'IO error: 000005.ldb: No space left on device'
const BAD = 'Corruption: bad block'

t.test('drives that do not open are put aside as long as everything can be read', async (t) => {
  const { directories, load } = await newStore(t)
  const again = await openSickStore(
    directories,
    {},
    { openLevel: failing(FULL, directories.slice(4)) },
  )
  const outs = again.storage.coordinator.state.map.drives.filter(({ state }) => state === 'out')
  t.same(
    outs.map(({ id }) => id),
    [5, 6],
  )
  await load.checkAll(again)
  t.same(load.troubles, [])
  await again.close()
})

t.test('of drives that are out it is on record what is in their place', async (t) => {
  const { directories, load } = await newStore(t)
  writeFileSync(join(directories[4]!, 'format.json'), '{')
  renameSync(directories[5]!, `${directories[5]}-away`)
  mkdirSync(directories[5]!)
  const again = await openSickStore(directories)
  const { drives } = again.storage.coordinator.state.map
  t.match(drives[4], { reason: 'its directory can not be recognised: format.json is not JSON' })
  t.match(drives[5], { state: 'out', reason: 'its directory is empty' })
  await load.checkAll(again)
  t.same(load.troubles, [])
  await again.close()
})

for (const { why, message, exit } of [
  { why: 'full', message: FULL, exit: { exitCode: 1, message: /free a few MiB/ } },
  {
    why: 'bad',
    message: BAD,
    exit: {
      exitCode: 4,
      message: /3 of 6 drives are missing .*drive4: it can not be opened: Corruption/,
    },
  },
]) {
  t.test(`three of six that are ${why} end the start, and nothing is decided`, async (t) => {
    const { directories, load } = await newStore(t)
    const openLevel = failing(message, directories.slice(3))
    await t.rejects(openSickStore(directories, {}, { openLevel }), exit)
    const again = await openSickStore(directories)
    const { drives } = again.storage.coordinator.state.map
    t.notOk(
      drives.some(({ state }) => state === 'out'),
      'no drive is out',
    )
    await load.checkAll(again)
    t.same(load.troubles, [])
    await again.close()
  })
}

/** LevelDB, but where the shards of these drives are listed does not open. */
function failing(message: string, drives: readonly string[]): OpenLevel {
  return async (path, sizes) => {
    const isMeant = drives.some((drive) => path === `${drive}/shards.db`)
    if (isMeant) throw Object.assign(new Error(message), { code: 'LEVEL_DATABASE_NOT_OPEN' })
    return await openLevelDb(path, sizes)
  }
}

/** A store of six drives that was closed, and the load that knows what is in it. */
async function newStore(t: Test): Promise<{ directories: string[]; load: SickLoad }> {
  const { directories, remove } = await newDirectories(6)
  t.teardown(remove)
  const store = await openSickStore(directories)
  const load = new SickLoad(store, new Seeded(5))
  await load.putSome(10)
  await store.close()
  return { directories, load }
}
