// Takes a dump of metadata partitions from time to time and keeps the last two. When all replicas are lost,
// `kintsugi recover` begins with it: what stands only in rows (empty objects, tags, locks, delete markers, names of buckets)
// is nowhere else. Which partitions, and on which drives: dump-plan.ts.

import { mebibytes } from '../../kit/bytes.ts'
import type { Log } from '../../kit/log.ts'
import { computedGauge, type Registry } from '../../kit/metrics.ts'
import { Turns } from '../../kit/turns.ts'
import { unlessAborted } from '../../kit/unless-aborted.ts'
import type { World } from '../../kit/world.ts'
import type { RowBatch } from '../../metadata/log/contract.ts'
import { BEGINNING } from '../../metadata/log/entry.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import type { FilesLook } from '../upkeep/file-scrub.ts'
import { Pacer } from '../upkeep/pacer.ts'
import {
  type DumpDrive,
  DumpWriter,
  type FoundDump,
  findDumps,
  lookAtCopy,
  removeCopy,
} from './dump-files.ts'
import { CHUNK_BYTES } from './dump-format.ts'
import { needlessOf, type PlacedDump, placeDumps } from './dump-order.ts'
import type { DumpPlan } from './dump-plan.ts'
import { DumpRoom } from './dump-room.ts'
import { type DumpOutlook, DumpTimes } from './dump-times.ts'

/** What is dumped and kept, and on which drives. The state of `coordinator` goes into every dump. */
export interface DumpParts {
  world: World
  log: Log
  plan: DumpPlan
  coordinator: Pick<Coordinator, 'state'>
  /** Those that are here, failed ones too. */
  drives(): readonly DumpDrive[]
}

/** Of each partition; older ones go. */
const KEPT = 2
/** What lies here of a partition that others dump now is looked at when it is so many times as old as a dump may be. */
const LEFT_FACTOR = 2
/** Rest as a multiple of work: dumps are not urgent. */
const TRANQUILITY = 4
/** After so many bytes it is looked whether there still is room. */
const LOOK_BYTES = mebibytes(64)

/** The dumps of a store. */
export class MetadataDumps {
  readonly #everyMs: number
  readonly #parts: DumpParts
  readonly #times: DumpTimes
  readonly #room: DumpRoom
  readonly #turns = new Turns()

  /** `everyMs`: a dump is not older. `bornMs`: when the store was made. */
  constructor(options: { everyMs: number; bornMs: number }, parts: DumpParts) {
    this.#everyMs = options.everyMs
    this.#times = new DumpTimes(options, parts.world.clock)
    this.#room = new DumpRoom(parts.world)
    this.#parts = parts
  }

  /** Takes the dumps that are due, one after the other. Trouble with one does not keep the others from theirs. */
  async takeDue(signal: AbortSignal): Promise<void> {
    await this.#lookForDumps()
    const partitions = new Set(this.#parts.plan.partitions())
    for (const partition of partitions) {
      if (!this.#times.isDue(partition, this.#outlookOf(partition))) continue
      try {
        await this.take(partition, signal)
      } catch (error) {
        signal.throwIfAborted()
        this.#parts.log.warn({ partition, error: String(error) }, 'a dump could not be taken')
      }
    }
    await this.#removeLeft(partitions, signal)
  }

  /** Takes a dump of one partition now and removes those that it makes needless; when it was taken. One at a time. */
  take(partition: number, signal: AbortSignal): Promise<number> {
    return this.#turns.run(() => this.#take(partition, signal))
  }

  async #take(partition: number, signal: AbortSignal): Promise<number> {
    const { world, coordinator, log } = this.#parts
    const takenMs = await this.#newName(partition)
    await this.#room.look(this.#live())
    const drives = this.#drivesFor(partition)
    const writer = await DumpWriter.open(drives, partition, world)
    try {
      const { state } = coordinator
      await this.#write(writer, { partition, takenMs, state }, signal)
      await writer.publish({ partition, takenMs })
    } catch (error) {
      this.#room.note(partition, writer.bytes, 'broken-off')
      await writer.abort()
      throw error
    }
    this.#room.note(partition, writer.bytes, 'whole')
    this.#times.took(partition, namesOf(drives))
    try {
      await this.#removeOld({ partition, takenMs })
    } catch (error) {
      log.warn({ partition, error: String(error) }, 'old dumps could not be removed')
    }
    await this.#lookForDumps()
    return takenMs
  }

  /** As the clock has it, unless a dump was taken then, which a clock that was set back can bring about. */
  async #newName(partition: number): Promise<number> {
    const found = await findDumps(this.#live(), this.#parts.world)
    const names = new Set(
      found.flatMap((dump) => (dump.partition === partition ? dump.takenMs : [])),
    )
    let takenMs = Math.floor(this.#parts.world.clock.now())
    while (names.has(takenMs)) takenMs += 1
    return takenMs
  }

  /**
   * How old the oldest of the newest dumps is, of those with as many copies as there can be; undefined as long as some partition has
   * none, or none whose time has come.
   */
  ageMs(): number | undefined {
    const ages = [...this.#parts.plan.partitions()].map((id) =>
      this.#times.ageMs(id, this.#outlookOf(id)),
    )
    const known = ages.filter((ageMs) => ageMs !== undefined)
    if (ages.length === 0 || known.length < ages.length) return undefined
    return Math.max(...known)
  }

  /**
   * Reads every copy of every dump. Damaged ones go once a new dump is taken in their place: until then, together, they may be all that
   * is left of a partition.
   */
  async scrub(pace: () => Promise<void>): Promise<FilesLook> {
    const { world, log, plan } = this.#parts
    const look: FilesLook = { files: 0, damaged: 0 }
    const damaged: { drive: DumpDrive; dump: Omit<FoundDump, 'copies'> }[] = []
    for (const { copies, ...dump } of await findDumps(this.#live(), world)) {
      for (const drive of copies) {
        look.files += 1
        const copy = await lookAtCopy(drive, dump, world, pace)
        if (copy.kind === 'damaged') damaged.push({ drive, dump })
        if (copy.kind !== 'unread') continue
        const { partition } = dump
        const data = { drive: drive.id, partition, error: String(copy.error) }
        log.warn(data, 'a copy of a dump could not be read: it is looked at again another time')
      }
    }
    look.damaged = damaged.length
    const wanted = new Set(plan.partitions())
    for (const partition of new Set(damaged.map(({ dump }) => dump.partition))) {
      if (!wanted.has(partition) || !(await this.#takeAgain(partition, pace))) continue
      for (const { drive, dump } of damaged)
        if (dump.partition === partition) await removeCopy(drive, dump, world)
    }
    return look
  }

  /** Whether it is taken, and is there: one that can not be had now is due again at the next look. */
  async #takeAgain(partition: number, pace: () => Promise<void>): Promise<boolean> {
    const { log } = this.#parts
    this.#times.wantAnew(partition)
    let takenMs: number
    try {
      takenMs = await this.take(partition, new AbortController().signal)
    } catch (error) {
      log.warn({ partition, error: String(error) }, 'a dump could not be taken')
      return false
    }
    if (await this.#isWhole({ partition, takenMs }, pace)) return true
    log.warn({ partition, takenMs }, 'a dump that was just taken can not be read')
    this.#times.wantAnew(partition)
    return false
  }

  async #isWhole(
    { partition, takenMs }: Omit<FoundDump, 'copies'>,
    pace: () => Promise<void>,
  ): Promise<boolean> {
    const { world } = this.#parts
    for (const { copies, ...dump } of await findDumps(this.#live(), world)) {
      if (dump.partition !== partition || dump.takenMs !== takenMs) continue
      for (const drive of copies)
        if ((await lookAtCopy(drive, dump, world, pace)).kind === 'whole') return true
    }
    return false
  }

  async #write(
    writer: DumpWriter,
    {
      partition,
      takenMs,
      state,
    }: Pick<FoundDump, 'partition' | 'takenMs'> & { state: Coordinator['state'] },
    signal: AbortSignal,
  ): Promise<void> {
    const { plan, world } = this.#parts
    const pacer = new Pacer(world.clock, () => TRANQUILITY)
    const { clusterId } = state
    let isBegun = false
    let rowCount = 0
    let rows: RowBatch[number][] = []
    let bytes = 0
    let lookedBytes = 0
    const flush = async (): Promise<void> => {
      if (rows.length > 0) await writer.write({ kind: 'rows', rows })
      rows = []
      bytes = 0
    }
    for await (const { position, rows: page } of plan.rows(partition, signal)) {
      if (!isBegun) {
        const head = { format: 1 as const, clusterId, partition, takenMs, position, state }
        await writer.write({ kind: 'head', head })
        isBegun = true
      }
      rowCount += page.length
      for (const row of page) {
        rows.push(row)
        bytes += row.key.length + row.value.length
        if (bytes >= CHUNK_BYTES) await flush()
      }
      if (writer.bytes - lookedBytes >= LOOK_BYTES) {
        await this.#room.look(this.#live())
        await writer.keepOn(this.#room.withRoom(0))
        lookedBytes = writer.bytes
      }
      await pacer.rest(signal)
    }
    if (!isBegun) throw new Error('not one page of rows came')
    await flush()
    await writer.write({ kind: 'end', rowCount })
  }

  async #lookForDumps(): Promise<void> {
    await this.#room.look(this.#live())
    this.#times.see(await findDumps(this.#live(), this.#parts.world))
  }

  /** Where a dump would lie now. */
  #drivesFor(partition: number): readonly DumpDrive[] {
    const live = this.#live()
    const roomy = this.#room.roomyFor(partition).filter((drive) => live.includes(drive))
    return this.#parts.plan.drivesFor(partition, roomy)
  }

  #outlookOf(partition: number): DumpOutlook {
    const drives = this.#drivesFor(partition)
    const wanted = Math.max(1, this.#parts.plan.staying(drives).length)
    return { isEnough: (dump) => this.#copiesOf(dump) >= wanted, places: namesOf(drives) }
  }

  /** On drives that work and stay. */
  #copiesOf({ copies }: Pick<FoundDump, 'copies'>): number {
    const live = this.#live()
    return this.#parts.plan.staying(copies.filter((drive) => live.includes(drive))).length
  }

  /** Those that `newest`, which was just taken, makes needless. */
  async #removeOld(newest: Omit<FoundDump, 'copies'>): Promise<void> {
    const { world, plan } = this.#parts
    const found = await findDumps(this.#live(), world)
    const placed = await placeDumps(
      found.filter(({ partition }) => partition === newest.partition),
      world,
    )
    // As many as there were to be if all drives had room.
    const wanted = plan.staying(plan.drivesFor(newest.partition, this.#live())).length
    const copiesOf = (dump: FoundDump): number => this.#copiesOf(dump)
    for (const { copies, ...dump } of needlessOf(placed, { kept: KEPT, wanted, copiesOf })) {
      if (dump.takenMs === newest.takenMs) continue
      for (const drive of copies) await removeCopy(drive, dump, world)
    }
  }

  /**
   * Dumps of partitions that are dumped elsewhere now, once those who do have a newer one. Never of one that does not live: they may be
   * the last.
   */
  async #removeLeft(wanted: ReadonlySet<number>, signal: AbortSignal): Promise<void> {
    const { world, log } = this.#parts
    const nowMs = world.clock.now()
    for (const dump of await findDumps(this.#live(), world)) {
      const { partition, takenMs } = dump
      const isYoung = takenMs <= nowMs && takenMs > nowMs - LEFT_FACTOR * this.#everyMs
      if (wanted.has(partition) || isYoung) continue
      try {
        if (!(await this.#isNeedless(dump, signal))) continue
        for (const drive of dump.copies) await removeCopy(drive, dump, world)
      } catch (error) {
        signal.throwIfAborted()
        log.info({ partition, error: String(error) }, 'an old dump is kept for now')
      }
    }
  }

  async #isNeedless(dump: FoundDump, signal: AbortSignal): Promise<boolean> {
    const { world, plan } = this.#parts
    const { partition, takenMs } = dump
    const [{ place }] = (await placeDumps([dump], world)) as [PlacedDump]
    if (place.kind === 'unread') return false
    const position = place.kind === 'known' ? place.position : BEGINNING
    if (!(await unlessAborted(plan.haveNewer(partition, { position, takenMs }), signal)))
      return false
    return await this.#lives(partition, signal)
  }

  async #lives(partition: number, signal: AbortSignal): Promise<boolean> {
    for await (const _page of this.#parts.plan.rows(partition, signal)) return true
    return false
  }

  #live(): DumpDrive[] {
    return this.#parts.drives().filter(({ failure }) => failure === undefined)
  }
}

function namesOf(drives: readonly DumpDrive[]): string {
  return drives.map(({ id }) => id).join()
}

/** Puts the age of the dumps on the registry. */
export function listDumpMetrics(dumps: Pick<MetadataDumps, 'ageMs'>, registry: Registry): void {
  const name = 'kintsugi_metadata_dump_age_seconds'
  const help =
    'Age of the oldest of the newest dumps of metadata partitions; -1: some partition has none on drives that stay, or none whose time has come'
  const value = (): number => {
    const ageMs = dumps.ageMs()
    return ageMs === undefined ? -1 : ageMs / 1000
  }
  computedGauge({ name, help, value }, registry)
}
