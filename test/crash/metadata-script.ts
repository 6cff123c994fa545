// Generated commands on a few keys of a replicated metadata host: versions, uploads, blobs that move, and in between
// markers, lost replicas and restarts.
import type { Uid } from '../../src/kit/uid.ts'
import type { ListedPart, MetadataPartition } from '../../src/metadata/contract.ts'
import { openPartition } from '../../src/metadata/partition.ts'
import { type Blob, MISSING_SLOT, originOf } from '../../src/metadata/records.ts'
import { dropReplicasOn } from '../../src/placement/coordinator-changes.ts'
import { Seeded } from '../support/seeded.ts'
import { bucket, listed, Store, TestClock } from '../unit/metadata/partition-fixture.ts'
import type { ForgetfulMachine } from './forgetful-machine.ts'
import { DRIVES, drivePath, PARTITIONS, type Running, start, stop } from './metadata-world.ts'
import { type KnownRows, RecordedLog, rowsAfter } from './recorded-log.ts'
import { allOrThrow } from './shard-script.ts'

/** What is known of a host when the power goes off. */
export interface KnownHost {
  partitions: KnownRows[]
  /** So many drives hold everything that was acknowledged, at least. */
  copies: number
}

/** One partition and the hands on it: a plain bucket and one that keeps versions. */
interface Desk {
  log: RecordedLog
  partition: MetadataPartition
  stores: [Store, Store]
  uploads: { store: Store; key: string; uploadId: Uid; parts: ListedPart[] }[]
}

/** Opens a partition of a running host, with the rows that it is known to have. */
async function openDesk(running: Running, id: number, before: KnownRows): Promise<Desk> {
  const log = new RecordedLog(running.host.partitionLog(id), rowsAfter(before))
  const clock = new TestClock()
  const partition = await openPartition({ id }, { log, clock })
  const stores: [Store, Store] = [new Store(partition, clock), new Store(partition, clock)]
  stores[1].bucket = { ...bucket, id: 8, versioning: 'enabled' }
  return { log, partition, stores, uploads: [] }
}

/** What a new host knows. */
export function nothingKnown(): KnownHost {
  const empty = (): KnownRows => ({ before: new Map(), batches: [], acknowledged: 0 })
  return { partitions: Array.from({ length: PARTITIONS }, empty), copies: DRIVES - 1 }
}

/** A run of commands, chosen by a seed. */
export class MetadataScript {
  readonly #seeded: Seeded
  readonly #machine: ForgetfulMachine
  readonly #before: KnownHost
  #running: Running | undefined
  #desks: Desk[] = []
  #copies: number

  constructor(machine: ForgetfulMachine, seed: number, known: KnownHost = nothingKnown()) {
    this.#machine = machine
    this.#before = known
    this.#copies = known.copies
    this.#seeded = new Seeded(Math.imul(seed, 0x9e37_79b1))
    for (let warm = 0; warm < 8; warm += 1) this.#seeded.below(2)
  }

  get known(): KnownHost {
    const desks = this.#desks.map(({ log }) => log.known)
    const partitions = desks.length > 0 ? desks : this.#before.partitions
    return { partitions, copies: this.#copies }
  }

  /** Starts the host, or goes on with one that runs: the first step. */
  async open(running?: Running): Promise<void> {
    const { partitions } = this.known
    this.#running = running ?? (await start(this.#machine))
    const desks = partitions.map((known, id) => openDesk(this.#host, id, known))
    this.#desks = await Promise.all(desks)
  }

  /** One step, chosen by chance; its name. */
  async step(): Promise<string> {
    const name = this.#seeded.pick(MENU)
    await this.#steps[name]()
    return name
  }

  async close(): Promise<void> {
    if (this.#running) await stop(this.#running)
  }

  get #host(): Running {
    if (this.#running === undefined) throw new Error('the script was not opened')
    return this.#running
  }

  readonly #steps: { [Name in StepName]: () => Promise<unknown> } = {
    command: () => this.#command(),
    crowd: () => allOrThrow(Array.from({ length: 5 }, () => this.#command())),
    upload: () => this.#upload(),
    move: () => this.#move(),
    mark: () => this.#host.host.mark(),
    flush: async () => {
      this.#machine.levels.flush(`${drivePath(1 + this.#seeded.below(DRIVES))}/meta.db`)
    },
    'lose replica': () => this.#loseReplica(),
    reopen: async () => {
      await this.close()
      await this.open()
    },
  }

  #command(): Promise<unknown> {
    const { stores } = this.#seeded.pick(this.#desks)
    const store = this.#seeded.pick(stores)
    const key = `k${this.#seeded.below(4)}`
    const etag = `e${this.#seeded.below(1e9)}`
    switch (this.#seeded.below(8)) {
      case 0:
        return store.delete(key)
      case 1:
        return store.deleteMany([key, `k${this.#seeded.below(4)}`, 'k0'])
      case 2:
        return this.#removeVersion(store, key)
      case 3:
        return store.edit(key, { what: 'tags', tags: [{ key: 'colour', value: etag }] })
      case 4:
        return this.#putOwed(store, key, etag)
      case 5:
        return this.#putLarge(store, key, etag)
      default:
        return store.put(key, etag)
    }
  }

  async #removeVersion(store: Store, key: string): Promise<void> {
    const version = await store.get(key)
    if (version === undefined || version === 'bucket-gone') return
    await store.remove(key, version.versionId)
  }

  /** A blob that lacks a shard: with a repair row. */
  #putOwed(store: Store, key: string, etag: string): Promise<unknown> {
    const blob = store.blob(1000, [1, 2, MISSING_SLOT, 4, 5, 6])
    return store.put(key, etag, { version: { ...store.version(etag), blob } })
  }

  /** A few of these fill a file of the log. */
  #putLarge(store: Store, key: string, etag: string): Promise<unknown> {
    const userMetadata = { story: etag.repeat(1 + this.#seeded.below(1500)) }
    return store.put(key, etag, { version: { ...store.version(etag), userMetadata } })
  }

  /** The next step of some upload, or a new one. */
  async #upload(): Promise<void> {
    const desk = this.#seeded.pick(this.#desks)
    const upload = desk.uploads.at(-1)
    if (upload === undefined || this.#seeded.below(4) === 0) {
      const [store, key] = [this.#seeded.pick(desk.stores), `u${this.#seeded.below(2)}`]
      desk.uploads.push({ store, key, uploadId: await store.create(key), parts: [] })
      return
    }
    const { store, key, uploadId, parts } = upload
    const choice = this.#seeded.below(5)
    if (choice === 0) await store.abort(key, uploadId)
    else if (choice === 1 && parts.length > 0) await store.complete(key, uploadId, parts)
    else {
      const part = store.part(parts.length + 1, 6 * 1024 * 1024)
      await store.putPart(key, uploadId, part)
      parts.push(listed(part))
      return
    }
    desk.uploads.pop()
  }

  /** The shards of some blob lie on other drives now. */
  async #move(): Promise<void> {
    const { partition, stores } = this.#seeded.pick(this.#desks)
    const { references } = await partition.scanBlobs(undefined, 1000)
    if (references.length === 0) return
    const { rowKey, blob } = this.#seeded.pick(references)
    if (this.#seeded.below(3) === 0) return await this.#replace(partition, rowKey, blob)
    const { uid, part, drives: from } = blob
    const drives = from.map((drive) => (drive === MISSING_SLOT ? 9 : drive + 10))
    const commandId = stores[0].uid()
    await partition.commit({ kind: 'move-blob', commandId, rowKey, uid, part, from, drives })
  }

  /** Its bytes were written again with another code. */
  async #replace(partition: MetadataPartition, rowKey: Uint8Array, before: Blob): Promise<void> {
    const [store] = this.#desks[0]!.stores
    const drives = before.drives.map((_, slot) => slot + 20)
    const blob = { ...before, uid: store.uid(), origin: originOf(before), drives }
    const { uid } = before
    const [commandId, bucketId] = [store.uid(), 1]
    await partition.commit({ kind: 'replace-blob', commandId, rowKey, bucketId, uid, blob })
  }

  /** A replica leaves, another one is made while commands come. */
  async #loseReplica(): Promise<void> {
    const { coordinator, host } = this.#host
    this.#copies = 2
    await coordinator.decide(dropReplicasOn(1 + this.#seeded.below(DRIVES)))
    await allOrThrow([host.mend(), this.#command(), this.#command()])
    const sets = coordinator.state.metaPartitions.map(({ inSync }) => inSync.length)
    this.#copies = Math.min(...sets)
  }
}

type StepName =
  | 'command'
  | 'crowd'
  | 'upload'
  | 'move'
  | 'mark'
  | 'flush'
  | 'lose replica'
  | 'reopen'

const MENU: readonly StepName[] = [
  ...(['command', 'command', 'crowd', 'crowd', 'crowd', 'upload', 'upload', 'upload'] as const),
  ...(['upload', 'move', 'move', 'mark', 'mark', 'flush', 'lose replica', 'reopen'] as const),
]
