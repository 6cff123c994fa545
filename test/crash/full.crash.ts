// Six small drives filled to the brim: every refusal is the clear one, every acknowledged object is read back, deletes
// work, and the store returns to service by itself. The drives are tmpfs, which only root can mount.
// DRIVE_MIB and SEED by environment: small drives in .ci/run, larger ones in npm run nightly.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { DidNotStart, startServer, type TestServer } from '../support/server.ts'

const seed = seedOfRun()
t.comment(`SEED=${seed}`)
const random = new Seeded(seed)
const BUCKET = 'full'
const POOL = random.bytes(6_000_000)
const DRIVE_MIB = Number(process.env.DRIVE_MIB ?? 40)
// The larger the drives the longer it takes to fill them.
const TIMEOUT = { timeout: 600_000 + DRIVE_MIB * 2000 }
const OPTIONS = ['--code', '4+2', '--garbage-grace', '1']

/** Sizes of every tier: nothing but a row, copies, segments, files of their own. */
const SIZES = [0, 1, 900, 20_000, 130_000, 400_000, 1_500_000, 5_000_000]

/** Six tmpfs drives, one store, and what it acknowledged. */
class SmallStore {
  readonly directory: string
  readonly acknowledged = new Map<string, Buffer>()
  /** Was there once; a delete of it was not answered. */
  readonly unsure = new Map<string, Buffer>()
  /** Status and code of everything that was refused. */
  readonly refusals = new Map<string, number>()
  #server: TestServer | undefined
  #client: S3Client | undefined
  #written = 0

  constructor(directory: string) {
    this.directory = directory
  }

  get drives(): string[] {
    return [1, 2, 3, 4, 5, 6].map((number) => join(this.directory, `drive${number}`))
  }

  /** Ballast is made some seconds after a start. */
  async untilBallasted(): Promise<void> {
    const paths = this.drives.map((drive) => join(drive, 'ballast.bin'))
    while (!paths.every((path) => existsSync(path))) await sleep(100)
  }

  async start(): Promise<void> {
    const environment = { KINTSUGI_BUCKETS: BUCKET }
    this.#server = await startServer({ directories: this.drives, options: OPTIONS, environment })
    this.#client = new S3Client(this.#server.endpoint)
  }

  /** A start where nothing is free: it serves, or says what is to be done, and that helps. */
  async startFull(t: Test): Promise<void> {
    try {
      await this.start()
    } catch (error) {
      if (!(error instanceof DidNotStart)) throw error
      t.equal(error.exitCode, 1)
      t.match(error.message, /free a few MiB/)
      for (const drive of this.drives) await makeRoom(drive)
      await this.start()
    }
  }

  async stop(): Promise<number | null> {
    this.#client?.close()
    return await this.#server!.stop()
  }

  async kill(): Promise<void> {
    this.#client?.close()
    await this.#server?.kill()
  }

  /**
   * Somebody else takes every byte or inode that is free. The server stands still meanwhile: ballast that it gives up is for it,
   * and not for who is still writing.
   */
  async takeAll(take: (drive: string) => void | Promise<void>): Promise<void> {
    const pid = this.#server!.serverPid()
    process.kill(pid, 'SIGSTOP')
    for (const drive of this.drives) await take(drive)
    process.kill(pid, 'SIGCONT')
  }

  /** One PUT; false when it was refused. Anything but a clear refusal is kept for the test to see. */
  async put(size: number): Promise<boolean> {
    this.#written += 1
    const key = `k${this.#written}`
    const at = random.below(POOL.length - size)
    const bytes = POOL.subarray(at, at + size)
    const { status, body } = await this.#client!.put(BUCKET, key, bytes)
    if (status === 200) {
      this.acknowledged.set(key, bytes)
      return true
    }
    const code = /<Code>([^<]*)</.exec(body.toString('utf8'))?.[1] ?? ''
    const name = `${status} ${code}`
    this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1)
    return false
  }

  /** Eight writers, until each size was refused; then rows alone. */
  async fill(): Promise<void> {
    const sizes = [...SIZES]
    const write = async (): Promise<void> => {
      while (sizes.length > 1) {
        const size = random.pick(sizes)
        if (await this.put(size)) continue
        if (sizes.includes(size)) sizes.splice(sizes.indexOf(size), 1)
      }
      for (let count = 0; count < 50; count += 1) await this.put(0)
    }
    await Promise.all(Array.from({ length: 8 }, write))
  }

  /** Deletes a share of what there is; the answers. */
  async deleteSome(share: number): Promise<Set<number>> {
    const keys = [...this.acknowledged.keys()].filter((_, index) => index % 10 < share * 10)
    const statuses = new Set<number>()
    await inParallel(keys, async (key) => {
      const { status } = await this.#client!.delete(BUCKET, key)
      statuses.add(status)
      if (status === 204) this.acknowledged.delete(key)
    })
    return statuses
  }

  /** Deletes one object after the other until one is not answered in time; that one may be there later or not. */
  async deleteUntilStuck(): Promise<{ answered: number; stuck: boolean }> {
    let answered = 0
    for (const [key, bytes] of [...this.acknowledged]) {
      const deleting = this.#client!.delete(BUCKET, key).then(({ status }) => status)
      deleting.catch(() => undefined)
      const status = await Promise.race([deleting, sleep(3000, 'stuck')])
      this.acknowledged.delete(key)
      if (status !== 204) this.unsure.set(key, bytes)
      if (status === 'stuck') return { answered, stuck: true }
      answered += 1
    }
    return { answered, stuck: false }
  }

  /** Whatever was acknowledged and is not read back byte for byte, or is listed though it was refused. */
  async findTroubles(): Promise<string[]> {
    const troubles: string[] = []
    await inParallel([...this.acknowledged], async ([key, bytes]) => {
      const { status, body } = await this.#client!.get(BUCKET, key)
      if (status !== 200 || !body.equals(bytes)) troubles.push(`${key}: ${status}`)
    })
    const listed = await this.#client!.listAll(BUCKET)
    const known = listed.filter((key) => !this.unsure.has(key))
    for (const key of known) if (!this.acknowledged.has(key)) troubles.push(`${key} is listed`)
    if (known.length !== this.acknowledged.size) troubles.push(`${known.length} are listed`)
    return troubles
  }

  /** Whether a drive gets what must be shards, for metadata grows less, within some seconds of PUTs. */
  async grows(drive: string): Promise<boolean> {
    const before = await usedBytes(drive)
    for (let turn = 0; turn < 60; turn += 1) {
      await this.put(400_000)
      if ((await usedBytes(drive)) > before + 1_500_000) return true
      await sleep(100)
    }
    return false
  }

  /** Whether none of some small objects is refused. */
  async takesTwenty(): Promise<boolean> {
    for (let count = 0; count < 20; count += 1) {
      if (!(await this.put(20_000))) {
        await sleep(250)
        return false
      }
    }
    return true
  }

  /** Ends when a PUT of such a size succeeds again, by itself; that it ever does is all that is asked of it. */
  async untilItTakes(size: number): Promise<void> {
    for (let tries = 1; !(await this.put(size)); tries += 1) {
      if (tries % 120 === 0) t.comment(`it still refuses: ${JSON.stringify([...this.refusals])}`)
      await sleep(250)
    }
  }
}

t.test('filled by its own writers', TIMEOUT, async (t) => {
  const store = await mountStore(t)
  if (store === undefined) return
  await store.fill()
  t.comment(`${store.acknowledged.size} objects`)
  t.same([...store.refusals.keys()], ['507 InsufficientStorage'], 'every refusal is clear')
  t.same(await store.findTroubles(), [], 'all that was acknowledged is there, and nothing else')
  t.equal(await store.stop(), 0)
  await store.start()
  t.same(await store.findTroubles(), [], 'likewise after a restart')
  t.same([...(await store.deleteSome(0.6))], [204], 'deletes work')
  await store.untilItTakes(1_500_000)
  t.pass('it takes objects again by itself')
  t.same(await store.findTroubles(), [])
  t.equal(await store.stop(), 0)
})

t.test('filled by somebody else', TIMEOUT, async (t) => {
  const store = await mountStore(t)
  if (store === undefined) return
  while (store.acknowledged.size < 60) await store.put(random.pick(SIZES))
  await store.untilBallasted()
  await store.takeAll(takeAllRoom)
  await store.fill()
  for (const name of store.refusals.keys()) t.match(name, /^50[37] /, 'refused clearly')
  t.same(await store.findTroubles(), [], 'what was acknowledged is read at 100 %')
  t.same([...(await store.deleteSome(0.3))], [204], 'deletes work at 100 %')
  await store.kill()
  await store.startFull(t)
  t.same(await store.findTroubles(), [], 'likewise after a kill and a start at 100 %')
  for (const drive of store.drives) await rm(join(drive, 'foreign.bin'))
  await store.untilItTakes(400_000)
  t.pass('it takes objects again by itself')
  t.same(await store.findTroubles(), [])
  t.equal(await store.stop(), 0)
})

t.test('not a byte left for metadata', TIMEOUT, async (t) => {
  const store = await mountStore(t)
  if (store === undefined) return
  while (store.acknowledged.size < 40) await store.put(random.pick(SIZES))
  while (store.acknowledged.size < 600) {
    await Promise.all(Array.from({ length: 16 }, () => store.put(0)))
  }
  // What is given up as ballast is taken as well, until rows and logs have nothing left to write to.
  const taker = keepTaking(store.drives)
  const { answered, stuck } = await store.deleteUntilStuck()
  t.comment(`${answered} deletes were answered before one waited: ${stuck}`)
  taker.kill()
  for (const drive of store.drives) await rm(join(drive, 'foreign.bin'), { force: true })
  await store.untilItTakes(400_000)
  t.pass('it takes objects again by itself')
  t.same(await store.findTroubles(), [], 'and all that was acknowledged is there')
  await store.kill()
  await store.start()
  t.same(await store.findTroubles(), [], 'likewise after a kill')
  t.equal(await store.stop(), 0)
})

t.test('no inodes left', TIMEOUT, async (t) => {
  const store = await mountStore(t, ',nr_inodes=400')
  if (store === undefined) return
  await store.untilBallasted()
  await store.fill()
  await store.takeAll(takeAllInodes)
  await store.fill()
  for (const name of store.refusals.keys()) t.match(name, /^50[37] /, 'refused clearly')
  t.same(await store.findTroubles(), [])
  t.same([...(await store.deleteSome(0.5))], [204], 'deletes work')
  await store.kill()
  await store.start()
  t.same(await store.findTroubles(), [], 'likewise after a kill and a start without an inode')
  for (const drive of store.drives) await rm(join(drive, 'foreign'), { recursive: true })
  await store.untilItTakes(1_500_000)
  t.pass('it takes objects again by itself')
  t.equal(await store.stop(), 0)
})

t.test('one full drive of six', TIMEOUT, async (t) => {
  const store = await mountStore(t)
  if (store === undefined) return
  while (store.acknowledged.size < 30) await store.put(random.pick(SIZES))
  takeAllRoom(store.drives[2]!)
  await store.untilItTakes(400_000)
  t.pass('writes go on')
  do store.refusals.clear()
  while (!(await store.takesTwenty()))
  // Sixty, or less where the large ones among them would fill the other drives as well: 34 of 40 MiB are for data.
  const others = store.drives.toSpliced(2, 1)
  for (let count = 0; count < 60 && (await fullest(others)) < 0.6; count += 1) {
    await store.put(random.pick(SIZES))
  }
  t.same([...store.refusals], [], 'and none is refused once it is known')
  t.same(await store.findTroubles(), [])
  await rm(join(store.drives[2]!, 'foreign.bin'))
  t.ok(await store.grows(store.drives[2]!), 'it gets shards again by itself')
  t.same(await store.findTroubles(), [])
  t.equal(await store.stop(), 0)
})

/** A store on six fresh tmpfs; undefined where they can not be mounted, which in CI is an error. */
async function mountStore(t: Test, more = ''): Promise<SmallStore | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-full-'))
  const store = new SmallStore(directory)
  t.teardown(async () => {
    await store.kill()
    for (const drive of store.drives) spawnSync('umount', ['--lazy', drive])
    await rm(directory, { recursive: true })
  })
  for (const drive of store.drives) {
    await mkdir(drive)
    const options = `size=${DRIVE_MIB}m${more}`
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'kintsugi-test', drive])
    if (mounted.status === 0) continue
    const why = `tmpfs can not be mounted here: ${mounted.stderr}`
    if (process.env.CI) throw new Error(why)
    t.plan(0, why)
    return undefined
  }
  await store.start()
  return store
}

async function usedBytes(drive: string): Promise<number> {
  const { blocks, bfree, bsize } = await statfs(drive)
  return (blocks - bfree) * bsize
}

/** How much of the fullest of these drives is used, of 1. */
async function fullest(drives: readonly string[]): Promise<number> {
  const used = await Promise.all(drives.map(usedBytes))
  return Math.max(...used) / (DRIVE_MIB * 1024 * 1024)
}

/** A foreign file takes every byte. */
function takeAllRoom(drive: string): void {
  for (const bytes of ['64k', '4k']) {
    spawnSync('sh', ['-c', `dd if=/dev/zero bs=${bytes} >> ${join(drive, 'foreign.bin')}`])
  }
}

async function makeRoom(drive: string): Promise<void> {
  const path = join(drive, 'foreign.bin')
  const { size } = await stat(path)
  await truncate(path, size - 4 * 1024 * 1024)
}

/** Takes whatever becomes free, until it is killed. */
function keepTaking(drives: readonly string[]): ChildProcess {
  const take = 'dd if=/dev/zero bs=4k >> "$drive/foreign.bin"'
  const loop = `while true; do for drive in "$@"; do ${take}; done; sleep 0.02; done`
  return spawn('sh', ['-c', loop, 'sh', ...drives], { stdio: 'ignore' })
}

/** Empty files take every inode. */
async function takeAllInodes(drive: string): Promise<void> {
  const directory = join(drive, 'foreign')
  await mkdir(directory, { recursive: true }).catch(() => undefined)
  const { ffree } = await statfs(drive)
  for (let count = 0; count <= ffree; count += 1) {
    await writeFile(join(directory, String(count)), '').catch(() => undefined)
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}
