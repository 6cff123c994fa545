// Dumps over bare directories, with a clock and with drives as full as a test wants them. The rows are one number, which the log counts.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import type { DiskSpace, World } from '../../../src/kit/world.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { type DumpDrive, findDumps, readDump } from '../../../src/storage-node/dump/dump-files.ts'
import { dumpName } from '../../../src/storage-node/dump/dump-format.ts'
import type { DumpPlan } from '../../../src/storage-node/dump/dump-plan.ts'
import { MetadataDumps } from '../../../src/storage-node/dump/metadata-dumps.ts'
import { tempRoot, testWorld } from './metadata-testbed.ts'

export const DAY = 86_400_000
export const HOUR = DAY / 24

/** A drive that a test can take away. */
export type TestDrive = { -readonly [Field in keyof DumpDrive]: DumpDrive[Field] }

/** A dump on the drives. */
export interface SeenDump {
  takenMs: number
  /** What its rows say. */
  count: number
  drives: number[]
}

/** Dumps of partition 0, every week, of a store that is a hundred days old. */
export class DumpBed {
  readonly world: World
  /** The wall clock may be set; the other one goes on with `pass`. */
  readonly time = { nowMs: Date.UTC(2026, 0, 10), monotonicMs: 5_000 }
  readonly bornMs = this.time.nowMs - 100 * DAY
  readonly warned: string[] = []
  /** What the log has committed. */
  count = 1
  drives: TestDrive[] = []
  /** By id; the others are empty. */
  readonly spaces = new Map<number, DiskSpace>()
  readonly signal = new AbortController().signal
  plan: DumpPlan = {
    partitions: () => [0],
    drivesFor: (_, roomy) => roomy.slice(0, 3),
    staying: (drives) => drives,
    rows: () => this.#rows(),
    haveNewer: async () => false,
  }
  dumps: MetadataDumps

  private constructor() {
    const real = testWorld()
    const space: World['disk']['space'] = async (path) =>
      this.spaces.get(Number(path.slice(-1))) ?? emptySpace()
    this.world = {
      ...real,
      clock: {
        ...real.clock,
        now: () => this.time.nowMs,
        monotonicMs: () => this.time.monotonicMs,
      },
      disk: { ...real.disk, space },
    }
    this.dumps = this.restart()
  }

  static async open(test: Test, driveCount = 3): Promise<DumpBed> {
    await prepareDigests()
    const bed = new DumpBed()
    const root = await tempRoot(test)
    for (let id = 1; id <= driveCount; id += 1) {
      const path = join(root, `drive${id}`)
      await mkdir(path)
      const { disk } = bed.world
      bed.drives.push({
        ...{ id, path, failure: undefined },
        run: (operation) => operation(),
        syncFile: (file) => file.sync(),
        syncDirectory: (directory) => disk.syncDirectory(directory),
      })
    }
    return bed
  }

  /** As a new process has it. */
  restart(): MetadataDumps {
    const { world, bornMs } = this
    const log = { ...silentLog, warn: (_: object, text: string) => void this.warned.push(text) }
    const plan: DumpPlan = {
      partitions: () => this.plan.partitions(),
      drivesFor: (partition, roomy) => this.plan.drivesFor(partition, roomy),
      staying: (drives) => this.plan.staying(drives),
      rows: (partition, signal) => this.plan.rows(partition, signal),
      haveNewer: (partition, than) => this.plan.haveNewer(partition, than),
    }
    const coordinator = { state: { clusterId: 'c' } as ClusterState }
    const parts = { world, log, plan, coordinator, drives: () => this.drives }
    this.dumps = new MetadataDumps({ everyMs: 7 * DAY, bornMs }, parts)
    return this.dumps
  }

  /** Both clocks go on. */
  pass(ms: number): void {
    this.time.nowMs += ms
    this.time.monotonicMs += ms
  }

  /** Something is written, then it is looked whether a dump is due. */
  async look(): Promise<SeenDump[]> {
    this.count += 1
    await this.dumps.takeDue(this.signal)
    return this.seen()
  }

  /** The dumps on drives that work, those with the most rows first. */
  async seen(): Promise<SeenDump[]> {
    const live = this.drives.filter(({ failure }) => failure === undefined)
    const seen: SeenDump[] = []
    for (const dump of await findDumps(live, this.world)) {
      let count = 0
      for await (const chunk of readDump(dump, this.world))
        if (chunk.kind === 'rows') count = Number(Buffer.from(chunk.rows[0]!.value).toString())
      seen.push({ takenMs: dump.takenMs, count, drives: dump.copies.map(({ id }) => id) })
    }
    return seen.sort((left, right) => right.count - left.count)
  }

  /** Flips one byte of each copy of all dumps: in the head on the first drive that has it, at the end on the others. */
  async rotEverywhere(): Promise<void> {
    for (const { copies, ...dump } of await findDumps(this.drives, this.world))
      for (const [index, { path }] of copies.entries()) {
        const file = join(path, 'dump', dumpName(dump.partition, dump.takenMs))
        const bytes = await readFile(file)
        bytes[index === 0 ? 30 : bytes.length - 1]! ^= 1
        await writeFile(file, bytes)
      }
  }

  async *#rows(): ReturnType<DumpPlan['rows']> {
    const row = { key: Buffer.from('k'), value: Buffer.from(`${this.count}`) }
    yield { position: { epoch: 1, sequence: this.count }, rows: [row] }
  }
}

function emptySpace(): DiskSpace {
  return { freeBytes: 5e12, totalBytes: 10e12, freeInodes: 0, totalInodes: 0 }
}
