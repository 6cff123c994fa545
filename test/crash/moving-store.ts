// The process that is killed while drives come and leave: a store under a load of its own, which does what it is told
// over the channel of child_process and says how it stands. Forked with MOVING_STORE set; else it only tells its types.
import { setTimeout as sleep } from 'node:timers/promises'
import { Registry } from 'prom-client'
import type { ServeConfig } from '../../src/config.ts'
import { prepareDigests } from '../../src/digest/digest.ts'
import { type OpenedStore, openStore } from '../../src/embedded/open-store.ts'
import type { DriveOutcome } from '../../src/gateway/admin-api.ts'
import { ClosingStack } from '../../src/kit/closing-stack.ts'
import { silentLog } from '../../src/kit/log.ts'
import { realWorld } from '../../src/kit/world.ts'
import type { Bucket } from '../../src/objects/object-store.ts'
import type { ClusterMap } from '../../src/placement/cluster-map.ts'
import { chooseMoves } from '../../src/placement/moves.ts'
import { Seeded } from '../support/seeded.ts'
import { bodyOf, collect } from '../unit/objects/memory-store.ts'

const WORKERS = 4
/** Of much the same size, or chance would decide how many bytes lie on a slot. */
const SIZES = [3_000, 150_000, 200_000, 250_000]

/** One operation in so many changes something: what is written anew needs no moving. */
const CHANGES_ONE_IN = 250

/** What a key holds: the number of its content, 0 for nothing. */
export interface KeyState {
  acked: number
  /** A change whose outcome is open. */
  open?: number
}

/** What the store is told. */
export type Order =
  | { kind: 'open'; directories: string[]; keys: [string, KeyState][]; rest: boolean; seed: number }
  | { kind: 'add'; path: string }
  | { kind: 'replace'; driveId: number; path: string }
  | { kind: 'drain' | 'cancel' | 'remove'; driveId: number }

/** What it tells. */
export type News =
  | { kind: 'opened' }
  | { kind: 'ordered'; outcome: DriveOutcome; epoch: number }
  | { kind: 'begins' | 'done'; key: string; content: number }
  | { kind: 'trouble'; what: string }
  | { kind: 'state'; state: StoreState }

/** How it stands, by the healer and by the rows themselves. */
export interface StoreState {
  /** Of the decision that the map is of. */
  epoch: number
  map: ClusterMap
  movedShards: number
  movedBytes: number
  /** Copies that moved and still lie where they were. */
  leftBehind: number
  /** Shards that rows name elsewhere than the table does. */
  misplaced: number
  /** By the rows: bytes of shards on each drive. */
  held: [number, number][]
  reads: number
  changes: number
  /** Workers that have still to write what they read later. */
  filling: number
}

const source = new Seeded(7).bytes(2 ** 20)

/** Begins elsewhere for each content, so that no two are alike. */
function contentOf(key: string, content: number): Buffer {
  const random = new Seeded(content * 7919 + Number(key.slice(1)) + 1)
  const bytes = random.pick(SIZES) + random.below(2_000)
  const from = random.below(source.length - bytes)
  return Buffer.concat([Buffer.from(`${key} ${content} `), source.subarray(from, from + bytes)])
}

if (process.env.MOVING_STORE) await serve()

async function serve(): Promise<void> {
  await prepareDigests()
  let store: OpenedStore | undefined
  process.on('message', async (order: Order) => {
    try {
      if (order.kind === 'open') store = await begin(order)
      else await tell(await obey(order, store!))
    } catch (error) {
      await tell({ kind: 'trouble', what: `${order.kind}: ${(error as Error).stack}` })
    }
  })
}

/** Resolves when the other process has it, whatever becomes of this one. */
function tell(news: News): Promise<void> {
  return new Promise((resolve) => {
    process.send!(news, () => resolve())
  })
}

async function begin({ directories, keys, rest, seed }: Order & { kind: 'open' }) {
  const store = await openIn(directories)
  const { bucket } = await store.objects.createBucket('bucket', 'us-east-1')
  const load = new Load(store, bucket, new Map(keys))
  await load.checkAll()
  await tell({ kind: 'opened' })
  if (!rest) for (let worker = 0; worker < WORKERS; worker += 1) void load.work(worker, seed)
  void report(store, load)
  return store
}

async function openIn(directories: string[]): Promise<OpenedStore> {
  const config: ServeConfig = {
    directories,
    ...{
      address: '127.0.0.1',
      port: 0,
      adminAddress: '127.0.0.1',
      adminPort: 0,
      processes: 1,
      domains: [],
      region: 'us-east-1',
    },
    ...{
      strictRegion: false,
      strictS3: false,
      http: 'node' as const,
      buckets: [],
      logLevel: 'silent' as const,
    },
    code: { dataCount: 4, parityCount: 2 },
    garbageGraceMs: 1000,
    mendDelayMs: 0,
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

/** By the very commands that people give. */
async function obey(
  order: Exclude<Order, { kind: 'open' }>,
  { storage: { commands, coordinator } }: OpenedStore,
): Promise<News> {
  const outcome = await give(order, commands)
  return { kind: 'ordered', outcome, epoch: coordinator.state.epoch }
}

function give(
  order: Exclude<Order, { kind: 'open' }>,
  commands: OpenedStore['storage']['commands'],
): Promise<DriveOutcome> {
  switch (order.kind) {
    case 'add':
      return commands.add(order)
    case 'replace':
      return commands.replace(order)
    case 'remove':
      return commands.remove(order.driveId)
    case 'drain':
    case 'cancel': {
      const { driveId, kind } = order
      return commands.drain({ driveId, isCancelled: kind === 'cancel', reEncode: false })
    }
  }
}

async function report(store: OpenedStore, load: Load): Promise<void> {
  const { coordinator, healer } = store.storage
  for (;;) {
    const { movedShards, movedBytes, leftBehind } = healer.progress().moves
    const { map, epoch } = coordinator.state
    const { reads, changes, filling } = load
    const rows = await lookAtRows(store)
    const counts = { movedShards, movedBytes, leftBehind, reads, changes, filling }
    await tell({ kind: 'state', state: { ...counts, ...rows, map, epoch } })
    await sleep(50)
  }
}

async function lookAtRows({
  storage,
}: OpenedStore): Promise<Pick<StoreState, 'held' | 'misplaced'>> {
  const held = new Map<number, number>()
  let misplaced = 0
  for (const partition of storage.router.partitions) {
    const { references } = await partition.scanBlobs(undefined, 10_000)
    for (const { blob } of references) {
      misplaced += chooseMoves(storage.coordinator.state.map, blob).size
      const shardBytes = Math.ceil(blob.bytes / blob.code.dataCount)
      for (const id of blob.drives) held.set(id, (held.get(id) ?? 0) + shardBytes)
    }
  }
  return { held: [...held], misplaced }
}

/** Workers that read and write, and know what every key must hold. */
class Load {
  reads = 0
  changes = 0
  filling = WORKERS
  readonly #store: OpenedStore
  readonly #bucket: Bucket
  readonly #keys: Map<string, KeyState>

  constructor(store: OpenedStore, bucket: Bucket, keys: Map<string, KeyState>) {
    this.#store = store
    this.#bucket = bucket
    this.#keys = keys
  }

  async checkAll(): Promise<void> {
    for (const key of this.#keys.keys()) await this.#check(key)
  }

  /** Its keys are filled first. */
  async work(worker: number, seed: number): Promise<void> {
    const random = new Seeded(seed * WORKERS + worker + 1)
    const keys = [...this.#keys.keys()].filter((_, index) => index % WORKERS === worker)
    for (const key of keys)
      if (this.#keys.get(key)!.acked === 0) await this.#change(key, 1 + random.below(1e6))
    this.filling -= 1
    for (;;) {
      const key = random.pick(keys)
      if (random.below(CHANGES_ONE_IN) > 0) await this.#check(key)
      else await this.#change(key, random.below(4) === 0 ? 0 : 1 + random.below(1e6))
      await sleep(20)
    }
  }

  /** Reads a key: what it holds must be what was acknowledged, or what may have been done. */
  async #check(key: string): Promise<void> {
    const state = this.#keys.get(key)!
    this.reads += 1
    try {
      const bytes = await this.#read(key)
      const allowed = [state.acked, ...(state.open === undefined ? [] : [state.open])]
      const isRight = (content: number): boolean =>
        content === 0 ? bytes === undefined : bytes?.equals(contentOf(key, content)) === true
      const found = allowed.find(isRight)
      if (found === undefined)
        return await tell({ kind: 'trouble', what: `${key}: ${bytes?.length} wrong bytes` })
      this.#keys.set(key, { acked: found })
      await tell({ kind: 'done', key, content: found })
    } catch (error) {
      await tell({ kind: 'trouble', what: `${key}: ${(error as Error).stack}` })
    }
  }

  async #read(key: string): Promise<Buffer | undefined> {
    const found = await this.#store.objects.find(this.#bucket, key)
    if (found.kind !== 'found') return undefined
    const range = { first: 0, last: found.object.version.bytes - 1 }
    return await collect(found.object.read(range, new AbortController()))
  }

  async #change(key: string, content: number): Promise<void> {
    const { objects } = this.#store
    this.changes += 1
    await tell({ kind: 'begins', key, content })
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
      await tell({ kind: 'done', key, content })
    } catch (error) {
      await tell({ kind: 'trouble', what: `${key}: ${(error as Error).stack}` })
    }
  }
}
