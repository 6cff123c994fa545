// Takes a dump of every metadata partition from time to time and keeps the last two, on as many drives as a row has replicas
// and first on those that have none. When all replicas are lost, `kintsugi recover` begins with it: what stands only in
// rows (empty objects, tags, locks, delete markers, names of buckets) is nowhere else.

import type { Log } from '../../kit/log.ts'
import { computedGauge, type Registry } from '../../kit/metrics.ts'
import { Turns } from '../../kit/turns.ts'
import type { World } from '../../kit/world.ts'
import type { RowBatch } from '../../metadata/log/contract.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import type { MetadataHost } from '../metadata-host/metadata-host.ts'
import type { FilesLook } from '../upkeep/file-scrub.ts'
import { Pacer } from '../upkeep/pacer.ts'
import {
  type DumpDrive,
  DumpWriter,
  type FoundDump,
  findDumpDamage,
  findDumps,
  removeCopy,
} from './dump-files.ts'
import { CHUNK_BYTES } from './dump-format.ts'

export interface DumpParts {
  world: World
  log: Log
  host: Pick<MetadataHost, 'snapshot'>
  coordinator: Pick<Coordinator, 'state'>
  /** Those that are here, failed ones too. */
  drives(): readonly DumpDrive[]
}

/** Of each partition; older ones go. */
const KEPT = 2
/** Rows read at once, so that a page stays small. */
const PAGE_ROWS = 64
/** Rest as a multiple of work: dumps are not urgent. */
const TRANQUILITY = 4
/** A young store changes much: until it is `everyMs` old it is dumped so many times as often. */
const YOUNG_FACTOR = 7
/** A drive with less than this share of its room left gets no dump. */
const FREE_SHARE = 0.1

/** The dumps of a store. */
export class MetadataDumps {
  readonly #everyMs: number
  readonly #parts: DumpParts
  /** When the newest dump of each partition was taken, as far as it was taken or found. */
  readonly #newestMs = new Map<number, number>()
  readonly #bornMs: number
  #isKnown = false
  readonly #turns = new Turns()

  /** `everyMs`: a dump is not older. `bornMs`: when the store was made. */
  constructor(options: { everyMs: number; bornMs: number }, parts: DumpParts) {
    this.#everyMs = options.everyMs
    this.#bornMs = options.bornMs
    this.#parts = parts
  }

  /** Takes the dumps that are due, one after the other. Trouble with one does not keep the others from theirs. */
  async takeDue(signal: AbortSignal): Promise<void> {
    if (!this.#isKnown) await this.#lookForDumps()
    for (const partition of this.#parts.coordinator.state.metaPartitions.keys()) {
      if (!this.#isDue(partition)) continue
      try {
        await this.take(partition, signal)
      } catch (error) {
        signal.throwIfAborted()
        this.#parts.log.warn({ partition, error: String(error) }, 'a dump could not be taken')
      }
    }
  }

  /** Takes a dump of one partition now and removes those that it makes needless. One at a time. */
  take(partition: number, signal: AbortSignal): Promise<void> {
    return this.#turns.run(() => this.#take(partition, signal))
  }

  async #take(partition: number, signal: AbortSignal): Promise<void> {
    const { world, coordinator } = this.#parts
    const takenMs = Math.floor(world.clock.now())
    const writer = await DumpWriter.open(await this.#chooseDrives(partition), partition, world)
    try {
      const { state } = coordinator
      await this.#write(writer, { partition, takenMs, state }, signal)
      await writer.publish({ partition, takenMs })
    } catch (error) {
      await writer.abort()
      throw error
    }
    this.#newestMs.set(partition, takenMs)
    await this.#removeOld(partition)
  }

  /** How old the oldest of the newest dumps is; undefined as long as some partition has none. */
  ageMs(): number | undefined {
    const count = this.#parts.coordinator.state.metaPartitions.length
    if (count === 0 || this.#newestMs.size < count) return undefined
    return this.#parts.world.clock.now() - Math.min(...this.#newestMs.values())
  }

  /** Reads every copy of every dump. A damaged one is removed, and a new dump taken in its place. */
  async scrub(pace: () => Promise<void>): Promise<FilesLook> {
    const { world } = this.#parts
    const look: FilesLook = { files: 0, damaged: 0 }
    const lacking = new Set<number>()
    for (const { copies, ...dump } of await findDumps(this.#live(), world)) {
      for (const drive of copies) {
        look.files += 1
        if ((await findDumpDamage(drive, dump, world, pace)) === undefined) continue
        look.damaged += 1
        lacking.add(dump.partition)
        await removeCopy(drive, dump, world)
      }
    }
    const never = new AbortController()
    for (const partition of lacking) await this.take(partition, never.signal)
    return look
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
    const { host, world } = this.#parts
    const pacer = new Pacer(world.clock, () => TRANQUILITY)
    const snapshot = await host.snapshot(partition)
    try {
      const { position } = snapshot
      const { clusterId } = state
      const head = { format: 1 as const, clusterId, partition, takenMs, position, state }
      await writer.write({ kind: 'head', head })
      let rowCount = 0
      let rows: RowBatch = []
      let bytes = 0
      for (;;) {
        const page = await snapshot.next(PAGE_ROWS)
        rows.push(...page)
        rowCount += page.length
        bytes += page.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
        const isLast = page.length < PAGE_ROWS
        if (rows.length > 0 && (isLast || bytes >= CHUNK_BYTES)) {
          await writer.write({ kind: 'rows', rows })
          rows = []
          bytes = 0
        }
        if (isLast) break
        await pacer.rest(signal)
      }
      await writer.write({ kind: 'end', rowCount })
    } finally {
      await snapshot.close()
    }
  }

  #isDue(partition: number): boolean {
    const nowMs = this.#parts.world.clock.now()
    const newestMs = this.#newestMs.get(partition)
    // The first one soon, yet not of a store that was made just now and holds nothing.
    if (newestMs === undefined) return nowMs - this.#bornMs >= this.#everyMs / YOUNG_FACTOR / 24
    const isYoung = newestMs - this.#bornMs < this.#everyMs
    return nowMs - newestMs >= (isYoung ? this.#everyMs / YOUNG_FACTOR : this.#everyMs)
  }

  async #lookForDumps(): Promise<void> {
    for (const { partition, takenMs } of await findDumps(this.#live(), this.#parts.world)) {
      this.#newestMs.set(partition, Math.max(takenMs, this.#newestMs.get(partition) ?? 0))
    }
    this.#isKnown = true
  }

  /** One more than drives may be lost, those without a replica first, each partition beginning at another. */
  async #chooseDrives(partition: number): Promise<DumpDrive[]> {
    const { map, metaPartitions } = this.#parts.coordinator.state
    const replicas = new Set(metaPartitions[partition]?.inSync.map(({ driveId }) => driveId))
    const roomy: DumpDrive[] = []
    for (const drive of this.#live()) if (await this.#hasRoom(drive)) roomy.push(drive)
    const turned = roomy.map((_, index) => roomy[(index + partition) % roomy.length]!)
    const ordered = [
      ...turned.filter(({ id }) => !replicas.has(id)),
      ...turned.filter(({ id }) => replicas.has(id)),
    ]
    return ordered.slice(0, map.code.parityCount + 1)
  }

  async #hasRoom(drive: DumpDrive): Promise<boolean> {
    try {
      const { freeBytes, totalBytes } = await drive.run(() =>
        this.#parts.world.disk.space(drive.path),
      )
      return freeBytes >= totalBytes * FREE_SHARE
    } catch {
      return false // It failed, which is said elsewhere.
    }
  }

  async #removeOld(partition: number): Promise<void> {
    const { world } = this.#parts
    const found = await findDumps(this.#live(), world)
    const old = found.filter((dump) => dump.partition === partition).slice(KEPT)
    for (const { copies, ...dump } of old)
      for (const drive of copies) await removeCopy(drive, dump, world)
  }

  #live(): DumpDrive[] {
    return this.#parts.drives().filter(({ failure }) => failure === undefined)
  }
}

/** Puts the age of the dumps on the registry. */
export function listDumpMetrics(dumps: Pick<MetadataDumps, 'ageMs'>, registry: Registry): void {
  const name = 'kintsugi_metadata_dump_age_seconds'
  const help =
    'Age of the oldest of the newest dumps of metadata partitions; -1: some partition has none'
  const value = (): number => {
    const ageMs = dumps.ageMs()
    return ageMs === undefined ? -1 : ageMs / 1000
  }
  computedGauge({ name, help, value }, registry)
}
