// No write is acknowledged without a shard on a drive that nobody has recorded as out, whatever keeps the drive from taking it.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { recordedOut } from '../../../src/embedded/recorded-out.ts'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { MISSING_SLOT } from '../../../src/metadata/records.ts'
import { type OpenLevel, openLevelDb } from '../../../src/storage-node/drive-lock.ts'
import { bodyOf, newDirectories, openSickStore, type SickStore } from '../../support/sick-store.ts'

/** So many that rows of shards are written to the index. */
const ROUNDS = 12
const PUTS = 50

t.test(
  'an index that errs: whoever is acknowledged has as many shards as drives are in',
  async (t) => {
    const { directories, remove } = await newDirectories(6)
    t.teardown(remove)
    const sick = new Set<string>()
    const store = await openSickStore(directories, {}, { openLevel: failingOn(sick) })
    t.teardown(() => store.close())
    for (let round = 0; round < ROUNDS; round += 1)
      await Promise.all(Array.from({ length: PUTS }, (_, index) => put(store, `${round}-${index}`)))
    for (const directory of directories.slice(0, 4)) sick.add(directory)
    let refused = 0
    let acknowledged = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const puts = Array.from({ length: PUTS }, async (_, index) => {
        const drives = await put(store, `${round}-${index}`)
        // Drives do not come back here: those that were out then are out now.
        const lacking = drives.filter((driveId) => driveId === MISSING_SLOT).length
        t.ok(lacking <= outIn(store), `${lacking} shards are lacking of ${drives.length}`)
        acknowledged += 1
      })
      for (const { reason } of await settle(puts)) {
        t.ok('code' in reason, String(reason))
        refused += 1
      }
    }
    t.ok(refused > 0, 'some were refused')
    t.equal(refused + acknowledged, ROUNDS * PUTS)
  },
)

t.test('a drive that is in is not done without, one that is out or gone is', async (t) => {
  const resolved = { recorded: async () => {} }
  const drives = [
    { id: 1, state: 'active' },
    { id: 2, state: 'draining' },
    { id: 3, state: 'out' },
  ]
  const coordinator = { state: { map: { drives } } } as never
  const recorders = { care: resolved, drives: resolved, coordinator }
  await t.rejects(recordedOut(1, recorders), DriveUnavailable)
  await t.rejects(recordedOut(2, recorders), DriveUnavailable)
  await t.resolves(recordedOut(3, recorders))
  await t.resolves(recordedOut(4, recorders))
  const failing = { recorded: () => Promise.reject(new Error('not recorded')) }
  await t.rejects(recordedOut(3, { ...recorders, care: failing }), { message: 'not recorded' })
  await t.rejects(recordedOut(3, { ...recorders, drives: failing }), { message: 'not recorded' })
})

/** LevelDB, but the list of shards of these drives takes no batch and does not open again. */
function failingOn(sick: ReadonlySet<string>): OpenLevel {
  const trouble = (): Error => Object.assign(new Error('IO error'), { code: 'LEVEL_IO_ERROR' })
  return async (path, sizes) => {
    const isMeant = (): boolean => [...sick].some((drive) => path === `${drive}/shards.db`)
    if (isMeant()) throw Object.assign(trouble(), { code: 'LEVEL_DATABASE_NOT_OPEN' })
    const level = await openLevelDb(path, sizes)
    const batch = level.batch.bind(level) as (...args: unknown[]) => unknown
    level.batch = ((...args: unknown[]) =>
      isMeant() ? Promise.reject(trouble()) : batch(...args)) as typeof level.batch
    return level
  }
}

/** The drives that an object lies on, by slot, once it is acknowledged. */
async function put({ objects, bucket }: SickStore, key: string): Promise<readonly number[]> {
  const body = bodyOf(randomBytes(1000))
  const { signal } = new AbortController()
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
  const done = await objects.put({ bucket, key, attributes, conditions: {}, body, signal } as never)
  const { version } = done as unknown as { version: { blob: { drives: readonly number[] } } }
  return version.blob.drives
}

function outIn({ storage }: SickStore): number {
  return storage.coordinator.state.map.drives.filter(({ state }) => state === 'out').length
}

async function settle(puts: Promise<void>[]): Promise<PromiseRejectedResult[]> {
  const outcomes = await Promise.allSettled(puts)
  return outcomes.filter((outcome) => outcome.status === 'rejected')
}
