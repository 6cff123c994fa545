// kill -9 at random moments of a mixed load while orphans of any age are swept all the time: every acknowledged write is
// there whole, and in the end the drives hold exactly the shards that rows name. Not part of npm test.
// ROUNDS and SEED by environment: few rounds in .ci/run, many in npm run nightly.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { loadServeConfig } from '../../src/config.ts'
import { prepareDigests } from '../../src/digest/prepare.ts'
import { openStore } from '../../src/embedded/open-store.ts'
import { ClosingStack } from '../../src/kit/closing-stack.ts'
import { silentLog } from '../../src/kit/log.ts'
import { Registry } from '../../src/kit/metrics.ts'
import { realWorld } from '../../src/kit/world.ts'
import { MISSING_SLOT } from '../../src/metadata/records.ts'
import { History } from '../support/history.ts'
import { MixedLoad } from '../support/load.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { startServer } from '../support/server.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 4)
const OPTIONS = ['--orphan-hours', '0', '--garbage-grace', '1']

const PASSES = 'kintsugi_orphan_passes_total'
const DELETED = 'kintsugi_orphan_deleted_shards_total'

/** Long enough for garbage to be due and collected, and for a pass after it. */
const SETTLE_MS_MAX = 120_000

t.test(`${ROUNDS} rounds of kill -9 under load and sweep`, { timeout: 1_500_000 }, async (t) => {
  const seed = seedOfRun()
  t.comment(`SEED=${seed}`)
  const random = new Seeded(seed)
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-orphans-'))
  const directories = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
  const history = new History()
  let deleted = 0
  for (let round = 0, isLast = false; !isLast; round += 1) {
    // More of them where none of the crashes left an orphan that was seen to go.
    isLast = round >= ROUNDS && (deleted > 0 || round >= 3 * ROUNDS)
    const environment = { KINTSUGI_BUCKETS: 'load' }
    const server = await startServer({ directories, options: OPTIONS, environment })
    const client = new S3Client(server.endpoint)
    const load = new MixedLoad(client, 'load', random, history)
    await load.checkAll()
    t.same(load.troubles, [], `round ${round}: everything is as it was acknowledged`)
    if (isLast) {
      // What the last crash left goes under a load as well.
      const running = load.run(4)
      const untilMs = Date.now() + SETTLE_MS_MAX
      while ((await metric(server.adminEndpoint, PASSES)) < 2 && Date.now() < untilMs) {
        await sleep(500)
      }
      load.stop()
      await running
      await load.checkAll()
      t.same(load.troubles, [])
      deleted += await metric(server.adminEndpoint, DELETED)
      t.equal(await server.stop(), 0)
    } else {
      const running = load.run(8)
      await sleep(1_000 + random.below(2_000))
      deleted += await metric(server.adminEndpoint, DELETED)
      await server.kill()
      await running
    }
    client.close()
  }
  t.comment(`${deleted} orphans were deleted at least`)
  t.ok(deleted > 0, 'there were orphans')
  await checkShards(t, directories)
  await rm(directory, { recursive: true })
})

async function metric(endpoint: string, name: string): Promise<number> {
  const text = await (await fetch(`${endpoint}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)
}

/** The shards on all drives become exactly those that rows name. */
async function checkShards(t: Test, directories: string[]): Promise<void> {
  const config = await loadServeConfig({
    directories,
    options: { 'orphan-hours': '0', 'garbage-grace': '1' },
    environment: {},
    readFile: async () => '',
  })
  await prepareDigests()
  const opened = new ClosingStack()
  const parts = { world: realWorld(), log: silentLog, registry: new Registry() }
  const { storage, orphans } = await openStore(config, parts, opened)
  const untilMs = Date.now() + SETTLE_MS_MAX
  let [lying, named] = [['?'], ['!']]
  while (lying.join() !== named.join() && Date.now() < untilMs) {
    orphans.sweepNow()
    await sleep(2_000)
    ;[lying, named] = [[], []]
    for (const { id } of storage.coordinator.state.map.drives) {
      for await (const ids of storage.lists.listShards(id)) {
        for (const { uid, part, slot } of ids) lying.push(`${id}/${uid}.${part}.${slot}`)
      }
    }
    for (const partition of storage.router.partitions) {
      const { references } = await partition.scanBlobs(undefined, 100_000)
      for (const { blob } of references) {
        for (const [slot, driveId] of blob.drives.entries()) {
          if (driveId === MISSING_SLOT) continue
          named.push(`${driveId}/${blob.uid}.${blob.part}.${slot}`)
        }
      }
    }
    lying.sort()
    named.sort()
  }
  t.ok(named.length > 0)
  t.same(lying, named, 'the drives hold what rows name, and nothing else')
  t.comment(`${named.length} shards`)
  await opened.close()
}
