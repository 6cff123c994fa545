// A drive with a shard store on a forgetful machine, and the hands of a test on it.
import { type Log, silentLog } from '../../../src/kit/log.ts'
import { Drive } from '../../../src/storage-node/drive.ts'
import { formatDrive } from '../../../src/storage-node/drive-format.ts'
import { ShardStore, type ShardStoreOptions } from '../../../src/storage-node/shard-store.ts'
import { putShard, type SampleShard, sampleShard } from '../../contracts/shard-samples.ts'
import { ForgetfulMachine, NOTHING } from '../../crash/forgetful-machine.ts'
import type { Seeded } from '../../support/seeded.ts'

export const MARKER = { format: 4, clusterId: 'test', driveId: 7, uuid: 'seven', createdMs: 1 }
export const PATH = '/drive'

/** Segments of 16 KiB, files of their own above 2,500 bytes, and no patience. */
export const SMALL: ShardStoreOptions = {
  segmentBytes: 16 * 1024,
  segmentShardBytes: 2500,
  graceMs: 0,
}

/** A store that can be closed, killed and opened again. */
export class ShardFixture {
  machine: ForgetfulMachine
  store: ShardStore
  drive: Drive
  /** What was logged at warn and above. */
  readonly warnings: string[]
  readonly #options: ShardStoreOptions

  private constructor(
    opened: { machine: ForgetfulMachine; store: ShardStore; drive: Drive },
    options: ShardStoreOptions,
    warnings: string[],
  ) {
    this.machine = opened.machine
    this.store = opened.store
    this.drive = opened.drive
    this.#options = options
    this.warnings = warnings
  }

  static async open(
    options: ShardStoreOptions = SMALL,
    machine = new ForgetfulMachine(1),
  ): Promise<ShardFixture> {
    await machine.disk.makeDirectory(PATH)
    await machine.disk.syncDirectory('/')
    await formatDrive(machine.world, PATH, MARKER)
    const warnings: string[] = []
    return new ShardFixture(await start(machine, options, warnings), options, warnings)
  }

  /** Closes cleanly, lets the test do something to the files, and opens again. */
  async reopen(meanwhile: () => void | Promise<void> = () => {}): Promise<void> {
    await this.store.close()
    await this.drive.close()
    await meanwhile()
    Object.assign(this, await start(this.machine, this.#options, this.warnings))
  }

  /** The drive after the power was cut: what was not synced is lost. This one is left as it is. */
  async crashed(meanwhile: (machine: ForgetfulMachine) => void = () => {}): Promise<ShardFixture> {
    const machine = this.machine.crash(NOTHING, 3)
    meanwhile(machine)
    const opened = await start(machine, this.#options, this.warnings)
    return new ShardFixture(opened, this.#options, this.warnings)
  }

  /** Puts `count` shards of such a size, all at once. */
  async put(seeded: Seeded, count: number, shardBytes: number): Promise<SampleShard[]> {
    const shards = Array.from({ length: count }, () => sampleShard(seeded, shardBytes, 512))
    await Promise.all(shards.map((shard) => putShard(this.store, shard)))
    return shards
  }

  /** Segment files, in order. */
  segments(): string[] {
    return this.machine.disk.files(`${PATH}/seg`)
  }
}

async function start(
  machine: ForgetfulMachine,
  options: ShardStoreOptions,
  warnings: string[],
): Promise<{ machine: ForgetfulMachine; store: ShardStore; drive: Drive }> {
  const { world, levels } = machine
  const { openLevel } = levels
  const drive = await Drive.open(world, PATH, MARKER, { openLevel })
  const log: Log = { ...silentLog, warn: (_data, sentence) => warnings.push(sentence) }
  const store = await ShardStore.open(drive, { world, log, openLevel }, options)
  return { machine, store, drive }
}
