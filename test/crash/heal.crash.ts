// Drives are lost one after the other and bytes rot while it serves: the store mends itself each time, and everything
// is read back byte for byte, until long after more drives were lost than the code can do without at once.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { flipByte } from '../support/flip-byte.ts'
import { loseDirectory } from '../support/lose-directory.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { startServer, type TestServer } from '../support/server.ts'

const seed = seedOfRun()
t.comment(`SEED=${seed}`)
const random = new Seeded(seed)
const BUCKET = 'heal'
const CODE = ['--code', '4+2']

/** Sizes of every tier: copies, segments, files of their own. */
const SIZES = [1, 700, 5000, 100_000, 140_000, 600_000, 2_000_000, 6_000_000]

/** One store of eight directories and what is in it. */
class HealedStore {
  readonly directory: string
  readonly objects = new Map<string, Buffer>()
  #gone = new Set<number>()
  #server: TestServer | undefined
  #client: S3Client | undefined

  constructor(directory: string) {
    this.directory = directory
  }

  get server(): TestServer {
    return this.#server!
  }

  pathOf(drive: number): string {
    return join(this.directory, `drive${drive}`)
  }

  get drives(): number[] {
    return [1, 2, 3, 4, 5, 6, 7, 8].filter((drive) => !this.#gone.has(drive))
  }

  async start(...options: string[]): Promise<void> {
    this.#server = await startServer({
      directories: [1, 2, 3, 4, 5, 6, 7, 8].map((drive) => this.pathOf(drive)),
      options: [...CODE, ...options],
      environment: { KINTSUGI_BUCKETS: BUCKET },
    })
    this.#client = new S3Client(this.#server.endpoint)
  }

  async stop(): Promise<number | null> {
    this.#client!.close()
    return this.#server!.stop()
  }

  async fill(count: number): Promise<void> {
    const work = Array.from({ length: count }, async (_, number) => {
      const key = `k${this.objects.size + number}`
      const bytes = random.bytes(SIZES[number % SIZES.length]! + random.below(1000))
      const { status } = await this.#client!.put(BUCKET, key, bytes)
      if (status !== 200) throw new Error(`${key}: ${status}`)
      return [key, bytes] as const
    })
    for (const [key, bytes] of await Promise.all(work)) this.objects.set(key, bytes)
  }

  /** Keys that do not come back as they were. */
  async faults(): Promise<string[]> {
    const wrong: string[] = []
    for (const [key, bytes] of this.objects) {
      const { status, body } = await this.#client!.get(BUCKET, key).catch(() => ({
        status: 0,
        body: Buffer.alloc(0),
      }))
      if (status !== 200 || !body.equals(bytes)) wrong.push(`${key}: ${status}`)
    }
    return wrong
  }

  async lose(drive: number): Promise<void> {
    this.#gone.add(drive)
    await loseDirectory(this.pathOf(drive))
  }

  /** An empty directory stays where the drive was, as when a mount is missing. */
  async empty(drive: number): Promise<void> {
    await this.lose(drive)
    await mkdir(this.pathOf(drive))
  }

  /** The drive stays, its shards go. */
  async loseShards(drive: number): Promise<void> {
    for (const kind of ['seg', 'big']) {
      const directory = join(this.pathOf(drive), kind)
      for (const name of await readdir(directory))
        await rm(join(directory, name), { recursive: true, force: true })
    }
  }

  async metrics(): Promise<(name: string) => number> {
    const text = await (await fetch(`${this.server.adminEndpoint}/metrics`)).text()
    return (name) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')
          .at(-1),
      )
  }

  /** Waits until the store says that it has everything, or what else is wanted; the bound only ends a failing test. */
  async until(
    t: Test,
    what: string,
    wanted: (value: (name: string) => number) => boolean,
  ): Promise<void> {
    const startedMs = performance.now()
    for (let round = 0; round < 400; round += 1) {
      const value = await this.metrics()
      if (wanted(value)) {
        const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
        const figures = ['mended_shards', 'read_bytes', 'written_bytes'].map(
          (name) => `${name} ${value(`kintsugi_heal_${name}_total`)}`,
        )
        t.comment(`${what} after ${seconds} s: ${figures.join(', ')}`)
        return
      }
      await sleep(100)
    }
    throw new Error(`${what}: it never came to that\n${this.server.log().slice(-3000)}`)
  }

  async untilComplete(t: Test, what: string): Promise<void> {
    await this.until(t, what, (value) => value('kintsugi_heal_complete') === 1)
  }
}

/** Flips one bit of each of `count` bytes, anywhere in the shards of a drive. */
async function flipShards(drive: string, count: number): Promise<void> {
  const files: string[] = []
  for (const kind of ['seg', 'big']) {
    const entries = await readdir(join(drive, kind), { recursive: true, withFileTypes: true })
    for (const entry of entries) if (entry.isFile()) files.push(join(entry.parentPath, entry.name))
  }
  for (let round = 0; round < count; round += 1) await flipByte(random.pick(files), random)
}

async function newStore(t: Test): Promise<HealedStore> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-heal-'))
  const store = new HealedStore(directory)
  t.teardown(async () => {
    await store.server.kill()
    await loseDirectory(directory)
  })
  return store
}

t.test('drive after drive is lost, stopped and serving', { timeout: 600_000 }, async (t) => {
  const store = await newStore(t)
  await store.start()
  await store.fill(64)
  await store.untilComplete(t, 'filled')
  t.equal(await store.stop(), 0)

  await store.loseShards(2)
  await store.start()
  await store.untilComplete(t, 'the shards of drive 2, lost while stopped')
  t.equal(await store.stop(), 0)

  await store.empty(3)
  await store.start()
  await sleep(random.below(600))
  await store.server.kill()
  await store.start()
  await store.untilComplete(t, 'drive 3, emptied while stopped, and killed while mending')
  await store.lose(6)
  await store.until(t, 'drive 6 is noticed', (value) => value('kintsugi_drives{state="out"}') === 2)
  await store.untilComplete(t, 'drive 6, lost while serving')
  t.same(await store.faults(), [])
  const value = await store.metrics()
  t.equal(value('kintsugi_heal_unrepairable_blobs'), 0)
  t.equal(value('kintsugi_heal_waiting_blobs'), 0)

  // Two are out, and two more go: four in all, of which 4+2 could bear two at once.
  await store.fill(12)
  await store.lose(1)
  await store.lose(8)
  await store.until(
    t,
    'drives 1 and 8 are noticed',
    (at) => at('kintsugi_drives{state="out"}') === 4,
  )
  t.same(await store.faults(), [], 'all is read from the four that are left')
  t.equal(await store.stop(), 0)
})

t.test('bytes rot on every drive while it serves', { timeout: 600_000 }, async (t) => {
  const store = await newStore(t)
  // A scrub of a day's millionth is begun again as soon as it ends.
  await store.start('--scrub-days', '0.000001')
  await store.fill(48)
  await store.untilComplete(t, 'filled')
  for (const drive of [1, 3, 5, 7]) {
    await flipShards(store.pathOf(drive), 40)
    await flipShards(store.pathOf(drive + 1), 40)
    const before = await store.metrics()
    const scrubs = before('kintsugi_heal_passes_total{kind="scrub"}')
    // The scrub that is under way may have been past it already.
    await store.until(
      t,
      `drives ${drive} and ${drive + 1} are scrubbed`,
      (value) => value('kintsugi_heal_passes_total{kind="scrub"}') >= scrubs + 2,
    )
  }
  const value = await store.metrics()
  t.equal(value('kintsugi_heal_unrepairable_blobs'), 0)
  t.ok(value('kintsugi_heal_mended_shards_total') > 8)
  t.ok(value('kintsugi_scrub_last_verified_seconds') > 0)
  t.same(await store.faults(), [])
  t.equal(await store.stop(), 0)

  // Whatever rotted is whole again: any two drives may go now.
  await store.lose(2)
  await store.lose(5)
  await store.start()
  t.same(await store.faults(), [])
  t.equal(await store.stop(), 0)
})
