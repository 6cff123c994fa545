// Drives come and leave under load while the process is killed again and again: 6 → 7 → 12 → 7 → 6. Every object is
// readable all the time, every acknowledged write stays, and hardly more bytes move than the new shares ask for.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import type { ServeConfig } from '../../src/config.ts'
import { prepareDigests } from '../../src/digest/digest.ts'
import type { LiveDrives } from '../../src/embedded/live-drives.ts'
import { type OpenedStore, openStore } from '../../src/embedded/open-store.ts'
import { ClosingStack } from '../../src/kit/closing-stack.ts'
import { silentLog } from '../../src/kit/log.ts'
import { realWorld } from '../../src/kit/world.ts'
import type { Bucket } from '../../src/objects/object-store.ts'
import type { ClusterMap } from '../../src/placement/cluster-map.ts'
import {
  addDrive,
  drainDrive,
  removeDrive,
  reserveDriveId,
} from '../../src/placement/coordinator-changes.ts'
import { idealLoads, stayingDrives } from '../../src/placement/rebalance.ts'
import { DRIVE_FORMAT, formatDrive } from '../../src/storage-node/drive.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { bodyOf, collect } from '../unit/objects/memory-store.ts'

const KEYS = 120
const WORKERS = 4
const SIZES = [3000, 160_000, 400_000, 700_000]
const WIDTH = 6

/** What a key holds: the number of its content, 0 for nothing. */
interface KeyState {
  acked: number
  /** A change whose outcome is open. */
  open?: number
}

type Order =
  | { kind: 'open'; directories: string[]; keys: [string, KeyState][]; rest: boolean }
  | { kind: 'add'; id: number; directory: string }
  | { kind: 'drain'; id: number }
  | { kind: 'remove'; id: number }

type News =
  | { kind: 'opened' | 'ordered' }
  | { kind: 'begins' | 'done'; key: string; content: number }
  | { kind: 'trouble'; what: string }
  | { kind: 'state'; state: StoreState }
  | { kind: 'moved'; moved: Moved }

interface Moved {
  movedShards: number
  movedBytes: number
}

interface StoreState extends Moved {
  map: ClusterMap
  phase: string
  remaining: number | undefined
  leftBehind: number
  complete: boolean
  reads: number
  /** By the rows: bytes of shards on each drive. */
  held: [number, number][]
}

function contentOf(key: string, content: number): Buffer {
  const random = new Seeded(content * 7919 + Number(key.slice(1)))
  return random.bytes(random.pick(SIZES) + random.below(2000))
}

if (process.env.MOVING_STORE) await serve()
else test()

/** The process that is killed: a store under a load of its own, which does what it is told. */
async function serve(): Promise<void> {
  await prepareDigests()
  const tell = (news: News): void => void process.send!(news)
  let store: OpenedStore | undefined
  process.on('message', async (order: Order) => {
    try {
      if (order.kind === 'open') {
        store = await openIn(order.directories)
        const { bucket } = await store.objects.createBucket('bucket', 'us-east-1')
        const load = new Load(store, bucket, new Map(order.keys), tell)
        void reportMoved(store, tell)
        await load.checkAll()
        tell({ kind: 'opened' })
        if (!order.rest) for (let worker = 0; worker < WORKERS; worker += 1) void load.work(worker)
        void report(store, load, tell)
      } else {
        await obey(order, store!)
        tell({ kind: 'ordered' })
      }
    } catch (error) {
      tell({ kind: 'trouble', what: `${order.kind}: ${(error as Error).stack}` })
    }
  })
}

async function openIn(directories: string[]): Promise<OpenedStore> {
  const config: ServeConfig = {
    directories,
    ...{ address: '127.0.0.1', port: 0, adminPort: 0, domains: [], region: 'us-east-1' },
    ...{ strictRegion: false, strictS3: false, buckets: [], logLevel: 'silent' as const },
    code: { dataCount: 4, parityCount: 2 },
    garbageGraceMs: 1000,
    scrubPeriodMs: 14 * 24 * 3_600_000,
    dumpPeriodMs: 7 * 24 * 3_600_000,
    ...{ orphanAgeMs: 24 * 3_600_000, abandonedUploadMs: undefined },
    rootCredentials: { accessKeyId: 'root', secretAccessKey: 'secret-of-the-root' },
  }
  const tuning = { poolBytes: 32 * 2 ** 20, healing: { againMs: 300 } }
  const parts = { world: realWorld(), log: silentLog, registry: new Registry(), tuning }
  const opened = new ClosingStack()
  return await opened.guard(() => openStore(config, parts, opened))
}

async function obey(order: Exclude<Order, { kind: 'open' }>, store: OpenedStore): Promise<void> {
  const { coordinator, drives } = store.storage
  const live = drives as LiveDrives
  const { id } = order
  if (order.kind === 'drain') await coordinator.decide(drainDrive(id))
  else if (order.kind === 'remove') {
    await coordinator.decide(removeDrive(id))
    await live.leave(id)
  } else {
    const path = order.directory
    const uuid = `uuid-of-${id}`
    const { clusterId } = await coordinator.decide(reserveDriveId())
    const marker = { format: DRIVE_FORMAT, clusterId, driveId: id, uuid, createdMs: 0 }
    await mkdir(path, { recursive: true })
    await formatDrive(realWorld(), path, marker)
    await live.join({ path, marker })
    await coordinator.decide(addDrive({ id, uuid, weight: 1, path }))
  }
}

async function report(
  { storage }: OpenedStore,
  load: Load,
  tell: (news: News) => void,
): Promise<void> {
  for (;;) {
    const { moves, complete } = storage.healer.progress()
    const { phase, remainingShards: remaining, movedShards, movedBytes, leftBehind } = moves
    const { map } = storage.coordinator.state
    const held = new Map<number, number>()
    for (const partition of storage.router.partitions) {
      const { references } = await partition.scanBlobs(undefined, 10_000)
      for (const { blob } of references)
        for (const id of blob.drives)
          held.set(id, (held.get(id) ?? 0) + Math.ceil(blob.bytes / blob.code.dataCount))
    }
    const counts = { phase, remaining, movedShards, movedBytes, leftBehind, complete }
    tell({ kind: 'state', state: { ...counts, map, reads: load.reads, held: [...held] } })
    await sleep(100)
  }
}

/** Often, so that a kill hides little of what was moved. */
async function reportMoved({ storage }: OpenedStore, tell: (news: News) => void): Promise<void> {
  for (;;) {
    const { movedShards, movedBytes } = storage.healer.progress().moves
    tell({ kind: 'moved', moved: { movedShards, movedBytes } })
    await sleep(5)
  }
}

/** Workers with keys of their own. */
class Load {
  reads = 0
  readonly #store: OpenedStore
  readonly #bucket: Bucket
  readonly #keys: Map<string, KeyState>
  readonly #tell: (news: News) => void

  constructor(
    store: OpenedStore,
    bucket: Bucket,
    keys: Map<string, KeyState>,
    tell: (news: News) => void,
  ) {
    this.#store = store
    this.#bucket = bucket
    this.#keys = keys
    this.#tell = tell
  }

  async checkAll(): Promise<void> {
    for (const key of this.#keys.keys()) await this.#check(key)
  }

  async work(worker: number): Promise<void> {
    const random = new Seeded(Date.now() + worker)
    for (;;) {
      const key = `k${random.below(KEYS / WORKERS) * WORKERS + worker}`
      const dice = random.below(12)
      if (dice < 9) await this.#check(key)
      else await this.#change(key, dice === 9 ? 0 : 1 + random.below(1e6))
      await sleep(5)
    }
  }

  /** Reads a key: what it holds must be what was acknowledged, or what may have been done. */
  async #check(key: string): Promise<void> {
    const state = this.#keys.get(key)
    if (!state) return
    this.reads += 1
    try {
      const bytes = await this.#read(key)
      const allowed = [state.acked, ...(state.open === undefined ? [] : [state.open])]
      const isRight = (content: number): boolean =>
        content === 0 ? bytes === undefined : bytes?.equals(contentOf(key, content)) === true
      const found = allowed.find(isRight)
      if (found === undefined) this.#tell({ kind: 'trouble', what: `${key}: ${bytes?.length}` })
      else this.#keys.set(key, { acked: found })
      if (found !== undefined) this.#tell({ kind: 'done', key, content: found })
    } catch (error) {
      this.#tell({ kind: 'trouble', what: `${key}: ${(error as Error).stack}` })
    }
  }

  async #read(key: string): Promise<Buffer | undefined> {
    const found = await this.#store.objects.find(this.#bucket, key)
    if (found.kind !== 'found') return undefined
    const range = { first: 0, last: found.object.version.bytes - 1 }
    return await collect(found.object.read(range, new AbortController().signal))
  }

  async #change(key: string, content: number): Promise<void> {
    const { objects } = this.#store
    this.#tell({ kind: 'begins', key, content })
    try {
      const conditions = {}
      const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
      const { signal } = new AbortController()
      if (content === 0) await objects.delete(this.#bucket, key, { conditions })
      else {
        const body = bodyOf(contentOf(key, content))
        await objects.put({ bucket: this.#bucket, key, attributes, conditions, body, signal })
      }
      this.#keys.set(key, { acked: content })
      this.#tell({ kind: 'done', key, content })
    } catch (error) {
      this.#tell({ kind: 'trouble', what: `${key}: ${(error as Error).stack}` })
    }
  }
}

/** The process and what it told, over all its lives. */
class Watcher {
  readonly keys = new Map<string, KeyState>()
  readonly troubles: string[] = []
  directories: string[]
  kills = 0
  reads = 0
  state: StoreState | undefined
  #life: Moved = { movedShards: 0, movedBytes: 0 }
  /** Of lives that ended. */
  #moved = { shards: 0, bytes: 0 }
  #child: ChildProcess | undefined
  #isKilling = false

  constructor(directories: string[]) {
    this.directories = directories
  }

  get movedBytes(): number {
    return this.#moved.bytes + this.#life.movedBytes
  }

  get movedShards(): number {
    return this.#moved.shards + this.#life.movedShards
  }

  async start(rest = false): Promise<void> {
    this.#isKilling = false
    this.state = undefined
    const child = fork(fileURLToPath(import.meta.url), [], {
      env: { ...process.env, MOVING_STORE: '1' },
    })
    this.#child = child
    child.on('message', (news: News) => this.#hear(news))
    child.on('exit', (code) => {
      if (!this.#isKilling) this.troubles.push(`the process ended with ${code}`)
    })
    const keys = [...this.keys]
    await this.order({ kind: 'open', directories: this.directories, keys, rest })
  }

  async kill(): Promise<void> {
    this.#isKilling = true
    const child = this.#child!
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    this.kills += 1
    this.reads += this.state?.reads ?? 0
    this.#moved.shards += this.#life.movedShards
    this.#moved.bytes += this.#life.movedBytes
    this.#life = { movedShards: 0, movedBytes: 0 }
  }

  async order(order: Order): Promise<void> {
    const child = this.#child!
    const obeyed = new Promise<void>((resolve) => {
      const listen = (news: News): void => {
        if (!['opened', 'ordered', 'trouble'].includes(news.kind)) return
        child.off('message', listen)
        resolve()
      }
      child.on('message', listen)
    })
    child.send(order)
    await obeyed
  }

  /** The bound only ends a failing test. */
  async until(what: string, wanted: (state: StoreState) => boolean): Promise<StoreState> {
    for (let round = 0; round < 15_000; round += 1) {
      const state = this.state && { ...this.state, ...this.#life }
      if (state && wanted(state)) return state
      if (this.troubles.length > 0) throw new Error(`${what}: ${this.troubles.join('; ')}`)
      await sleep(10)
    }
    throw new Error(`not ${what}: ${JSON.stringify({ ...this.state, map: undefined })}`)
  }

  #hear(news: News): void {
    if (news.kind === 'trouble') this.troubles.push(news.what)
    else if (news.kind === 'state') this.state = news.state
    else if (news.kind === 'moved') this.#life = news.moved
    else if (news.kind === 'done') this.keys.set(news.key, { acked: news.content })
    else if (news.kind === 'begins') {
      const acked = this.keys.get(news.key)?.acked ?? 0
      this.keys.set(news.key, { acked, open: news.content })
    }
  }
}

function isSettled({ phase, remaining, leftBehind }: StoreState): boolean {
  return phase === 'idle' && remaining === 0 && leftBehind === 0
}

/** Slots that must change hands at least from one table to shares by the drives of another. */
function leastSlots(before: ClusterMap, after: ClusterMap): number {
  const loads = new Map<number, number>()
  for (const id of before.slots.flatMap((row) => row.slice(0, WIDTH)))
    loads.set(id, (loads.get(id) ?? 0) + 1)
  const ideals = idealLoads(stayingDrives(after.drives), before.slots.length, WIDTH)
  return [...ideals].reduce(
    (sum, [id, ideal]) => sum + Math.max(0, ideal - (loads.get(id) ?? 0)),
    0,
  )
}

function sumOf(held: StoreState['held']): number {
  return held.reduce((sum, [, bytes]) => sum + bytes, 0)
}

/** One change of the drives: begun, killed in the middle, and seen to its end. */
async function change(t: Test, watcher: Watcher, what: string, orders: Order[]): Promise<void> {
  const before = await watcher.until('settled', isSettled)
  const movedBefore = { bytes: watcher.movedBytes, shards: watcher.movedShards }
  for (const order of orders) await watcher.order(order)
  await watcher.until('begun', ({ phase, movedShards }) => phase === 'moving' && movedShards > 8)
  await watcher.kill()
  await watcher.start()
  await watcher.until(
    'on its way again',
    (state) => state.movedShards > 15 || (isSettled(state) && state.reads > 300),
  )
  await watcher.kill()
  await watcher.start()
  const leaving = orders.flatMap((order) => (order.kind === 'drain' ? [order.id] : []))
  const isVacated = ({ map }: StoreState): boolean =>
    map.drives.every(({ id, isVacated: vacated }) => !leaving.includes(id) || vacated === true)
  const after = await watcher.until('moved', (state) => isSettled(state) && isVacated(state))
  for (const id of leaving) {
    await watcher.order({ kind: 'remove', id })
    watcher.directories = watcher.directories.filter((path) => !path.endsWith(`drive${id}`))
  }
  const share = leastSlots(before.map, after.map) / (before.map.slots.length * WIDTH)
  const leastBytes = share * Math.max(sumOf(before.held), sumOf(after.held))
  const bytes = watcher.movedBytes - movedBefore.bytes
  t.comment(
    `${what}: ${watcher.movedShards - movedBefore.shards} shards, ${(bytes / 1e6).toFixed(1)} MB moved, ` +
      `${(leastBytes / 1e6).toFixed(1)} MB at least (${(bytes / leastBytes).toFixed(2)}); ` +
      `${(sumOf(after.held) / 1e6).toFixed(1)} MB of shards`,
  )
  t.ok(bytes <= leastBytes * 1.3, `${what}: bytes moved`)
  const drives = stayingDrives(after.map.drives)
  for (const { id } of drives) {
    const held = new Map(after.held).get(id) ?? 0
    const fair = sumOf(after.held) / drives.length
    t.ok(held > fair * 0.6 && held < fair * 1.4, `${what}: drive ${id} has its share`)
  }
  t.same(watcher.troubles, [], what)
}

function test(): void {
  t.comment(`SEED=${seedOfRun()}`)
  t.test('6 → 7 → 12 → 7 → 6 drives under load, killed on the way', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'kintsugi-move-'))
    const pathOf = (id: number): string => join(root, `drive${id}`)
    const watcher = new Watcher([1, 2, 3, 4, 5, 6].map(pathOf))
    t.teardown(async () => {
      await watcher.kill()
      await rm(root, { recursive: true, force: true, maxRetries: 5 })
    })
    for (let key = 0; key < KEYS; key += 1) watcher.keys.set(`k${key}`, { acked: 0 })
    await watcher.start()
    await watcher.until('filled', ({ held }) => sumOf(held) > 40e6)
    const add = (id: number): Order[] => {
      watcher.directories.push(pathOf(id))
      return [{ kind: 'add', id, directory: pathOf(id) }]
    }
    await change(t, watcher, '6 → 7', add(7))
    await change(t, watcher, '7 → 12', [8, 9, 10, 11, 12].flatMap(add))
    const drain = (id: number): Order => ({ kind: 'drain', id })
    await change(t, watcher, '12 → 7', [2, 4, 6, 8, 10].map(drain))
    await change(t, watcher, '7 → 6', [drain(1)])
    await watcher.kill()
    await watcher.start(true)
    t.same(watcher.troubles, [], 'everything is there at the end')
    t.comment(`${watcher.reads} reads checked, ${watcher.kills} kills`)
  })
}
