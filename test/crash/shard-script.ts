// Generated operations on the shard store of one drive, and what a crash may leave of every shard that they touched.
import { silentLog } from '../../src/kit/log.ts'
import type { World } from '../../src/kit/world.ts'
import { Drive } from '../../src/storage-node/drive.ts'
import { DRIVE_FORMAT, formatDrive } from '../../src/storage-node/drive-format.ts'
import { ShardStore, type ShardStoreOptions } from '../../src/storage-node/shard-store.ts'
import {
  judgeShard,
  putShard,
  type SampleShard,
  sampleShard,
  writeCells,
} from '../contracts/shard-samples.ts'
import { Seeded } from '../support/seeded.ts'
import type { ForgetfulMachine } from './forgetful-machine.ts'

export const DRIVE_PATH = '/drive'
export const INDEX_PATH = `${DRIVE_PATH}/shards.db`

const MARKER = {
  format: DRIVE_FORMAT,
  clusterId: 'test',
  driveId: 7,
  uuid: 'seven',
  createdMs: 1,
}
// Small segments, so that a short script crosses every seam.
const OPTIONS: ShardStoreOptions = { segmentBytes: 12 * 1024, graceMs: 0 }
/** Above it shards get files of their own. It changes with a restart: so shards move from the one to the other. */
const BORDERS = [900, 2500, 4000]

/** What is known of a shard. Its bytes never change: a name is for one blob only. */
export type ShardState =
  /** Acknowledged, and nobody wanted it gone: it must be there. */
  | 'committed'
  /** Begun and never committed: it must not be there. */
  | 'unborn'
  /** Its first commit or its deletion may or may not have happened. */
  | 'in doubt'
  /** Deleted. May come back whole: then it is garbage, and collected as such. */
  | 'deleted'
  /** Its bytes rotted, or did before it was mended and deleted: all but wrong bytes is right. */
  | 'damaged'

export type Known = Map<SampleShard, ShardState>

const ALLOWED: { [State in ShardState]: readonly string[] } = {
  committed: ['whole'],
  unborn: ['missing'],
  'in doubt': ['whole', 'missing'],
  deleted: ['whole', 'missing'],
  damaged: ['whole', 'missing', 'corrupt'],
}

export interface Running {
  store: ShardStore
  drive: Drive
}

/** How a machine is started: a test of this test puts a careless disk in its place. */
export type WorldOf = (machine: ForgetfulMachine) => World

/** An empty formatted drive. */
export async function makeDrive(machine: ForgetfulMachine): Promise<void> {
  await machine.disk.makeDirectory(DRIVE_PATH)
  await machine.disk.syncDirectory('/')
  await formatDrive(machine.world, DRIVE_PATH, MARKER)
}

/** Opens the drive and its store, as a start of the server does. */
export async function start(
  machine: ForgetfulMachine,
  world: World = machine.world,
  segmentShardBytes = BORDERS[1]!,
): Promise<Running> {
  const { openLevel } = machine.levels
  const drive = await Drive.open(world, DRIVE_PATH, MARKER, { openLevel })
  const parts = { world, log: silentLog, openLevel }
  const store = await ShardStore.open(drive, parts, { ...OPTIONS, segmentShardBytes })
  return { store, drive }
}

export async function stop({ store, drive }: Running): Promise<void> {
  await store.close()
  await drive.close()
}

/** What is wrong with the store; empty when all is well. What was seen of a shard in doubt is settled by that. */
export async function findFaults(store: ShardStore, known: Known): Promise<string[]> {
  const faults: string[] = []
  for (const [shard, state] of known) {
    const judged = await judgeShard(store, shard)
    if (!ALLOWED[state].includes(judged)) {
      const { id, shardBytes } = shard.description
      faults.push(`${state} shard ${id.uid.slice(0, 8)} of ${shardBytes} bytes is ${judged}`)
    }
    // A shard that somebody read stays, and one that was not there does not come: no recovery changes its mind.
    if (state === 'in doubt') known.set(shard, judged === 'whole' ? 'committed' : 'unborn')
  }
  return faults
}

/** A run of operations, chosen by a seed. */
export class ShardScript {
  readonly known: Known = new Map()
  readonly #rotten = new Set<SampleShard>()
  readonly #seeded: Seeded
  readonly #machine: ForgetfulMachine
  readonly #worldOf: WorldOf
  #running: Running | undefined

  constructor(
    machine: ForgetfulMachine,
    seed: number,
    worldOf: WorldOf = ({ world }: ForgetfulMachine) => world,
  ) {
    this.#machine = machine
    this.#worldOf = worldOf
    this.#seeded = new Seeded(Math.imul(seed, 0x9e37_79b1))
    // Small seeds begin much alike.
    for (let warm = 0; warm < 8; warm += 1) this.#seeded.below(2)
  }

  /** Opens the store: the first step. */
  async open(): Promise<void> {
    const border = this.#seeded.pick(BORDERS)
    this.#running = await start(this.#machine, this.#worldOf(this.#machine), border)
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

  get #store(): ShardStore {
    if (this.#running === undefined) throw new Error('the script was not opened')
    return this.#running.store
  }

  readonly #steps: { [Name in StepName]: () => Promise<unknown> } = {
    put: () => this.#putSome(),
    delete: () => this.#deleteSome(),
    compact: () => this.#store.compactOnce(),
    crowd: () => allOrThrow([this.#putSome(), this.#deleteSome(), this.#store.compactOnce()]),
    abandon: () => this.#abandon(),
    rewrite: () => this.#rewrite(['committed', 'committed', 'deleted']),
    damage: async () => this.#damage(),
    mend: () => this.#mend(),
    flush: async () => this.#machine.levels.flush(INDEX_PATH),
    reopen: () => this.#reopen(),
    'lose index': () => this.#reopen(() => this.#machine.levels.clear(INDEX_PATH)),
  }

  async #putSome(): Promise<void> {
    const shards = Array.from({ length: 1 + this.#seeded.below(4) }, () => this.#newShard())
    await allOrThrow(shards.map((shard) => this.#put(shard, 'in doubt')))
  }

  #newShard(): SampleShard {
    const bytes = this.#seeded.pick([0, 1, 200, 800, 1500, 2400, 3000, 5000])
    return sampleShard(this.#seeded, bytes + this.#seeded.below(100), 1024)
  }

  async #put(shard: SampleShard, meanwhile: ShardState): Promise<void> {
    this.known.set(shard, meanwhile)
    await putShard(this.#store, shard)
    this.known.set(shard, 'committed')
  }

  /** Writers that are thrown away, and one that is left open. */
  async #abandon(): Promise<void> {
    const [aborted, open] = [this.#newShard(), this.#newShard()]
    this.known.set(aborted, 'unborn').set(open, 'unborn')
    const writer = await writeCells(this.#store, aborted)
    await writeCells(this.#store, open)
    await writer.abort()
  }

  async #deleteSome(): Promise<void> {
    for (const [shard, state] of [...this.known]) {
      if (state !== 'committed' || this.#seeded.below(3) > 0) continue
      // The record that rotted may come back instead of the mended one.
      const rotten = this.#rotten.has(shard)
      this.known.set(shard, rotten ? 'damaged' : 'in doubt')
      await this.#store.deleteShard(shard.description.id)
      this.known.set(shard, rotten ? 'damaged' : 'deleted')
    }
  }

  /** Shards that are written again: what is there stays good until the new one is. */
  async #rewrite(states: readonly ShardState[]): Promise<void> {
    const wanted = this.#seeded.pick(states)
    const shards = [...this.known].filter(([, state]) => state === wanted)
    for (const [shard, state] of shards.slice(0, 2)) await this.#put(shard, state)
  }

  /** Flips a byte of a committed shard wherever it lies. */
  #damage(): void {
    const { disk } = this.#machine
    const shards = [...this.known].filter(
      ([shard, state]) => state === 'committed' && shard.bytes.length >= 16,
    )
    if (shards.length === 0) return
    const [shard] = this.#seeded.pick(shards)
    const wanted = shard.bytes.subarray(0, 16)
    for (const path of disk.files(DRIVE_PATH)) {
      const bytes = Buffer.from(disk.bytesOf(path))
      for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) {
        disk.flip(path, at + this.#seeded.below(16), 1 << this.#seeded.below(8))
      }
    }
    this.known.set(shard, 'damaged')
    this.#rotten.add(shard)
  }

  /** What a healer does. It may be that a shard like this gets a file of its own by now, or no longer. */
  async #mend(): Promise<void> {
    if (![...this.known.values()].includes('damaged')) this.#damage()
    if (this.#seeded.below(2) === 0) await this.#reopen()
    await this.#rewrite(['damaged'])
  }

  async #reopen(meanwhile: () => void = () => {}): Promise<void> {
    await this.close()
    meanwhile()
    await this.open()
  }
}

type StepName =
  | 'put'
  | 'delete'
  | 'compact'
  | 'crowd'
  | 'abandon'
  | 'rewrite'
  | 'damage'
  | 'mend'
  | 'flush'
  | 'reopen'
  | 'lose index'

// What a store does most comes most.
const MENU: readonly StepName[] = [
  ...(['put', 'put', 'put', 'put', 'put', 'crowd', 'crowd', 'crowd'] as const),
  ...(['delete', 'delete', 'compact', 'compact', 'compact', 'rewrite', 'rewrite'] as const),
  ...(['damage', 'mend', 'mend', 'abandon', 'flush', 'reopen', 'reopen', 'lose index'] as const),
]

/** Waits for all, then throws what the first one threw: nothing goes on in the background. */
export async function allOrThrow(promises: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === 'rejected') throw result.reason
  }
}
