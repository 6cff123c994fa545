// When a partition gets its next dump, and how old the newest one is. The wall clock may have been wrong when dumps were named:
// a time that has not come yet says nothing of their age.
import type { Clock } from '../../kit/world.ts'
import type { FoundDump } from './dump-files.ts'

/** A young store changes much: until it is `everyMs` old it is dumped so many times as often. */
const YOUNG_FACTOR = 7
/** Clocks are put right by less than this all the time. */
const AHEAD_MS_MAX = 60_000

/** What is known of a partition beside its dumps. */
export interface DumpOutlook {
  /** Whether a dump has as many copies as one can have now. */
  isEnough(dump: FoundDump): boolean
  /** Names the drives that another one would be on. */
  places: string
}

/** Knows the dumps that were found last. */
export class DumpTimes {
  readonly #everyMs: number
  readonly #bornMs: number
  readonly #clock: Clock
  readonly #openedMs: number
  /** So soon comes the first dump of a store, and another one where drives with copies have gone. */
  readonly #soonMs: number
  readonly #found = new Map<number, FoundDump[]>()
  /** By the monotonic clock: when this process last took one of each partition. */
  readonly #tookMs = new Map<number, number>()
  /** The drives that it was to be on. */
  readonly #tookOn = new Map<number, string>()
  /** By the monotonic clock: since when no dump has copies enough. */
  readonly #shortMs = new Map<number, number>()
  readonly #overdue = new Set<number>()

  /** `everyMs`: a dump is not older. `bornMs`: when the store was made. */
  constructor({ everyMs, bornMs }: { everyMs: number; bornMs: number }, clock: Clock) {
    this.#everyMs = everyMs
    this.#soonMs = everyMs / YOUNG_FACTOR / 24
    this.#bornMs = bornMs
    this.#clock = clock
    this.#openedMs = clock.monotonicMs()
  }

  /** These are all that there are. */
  see(found: readonly FoundDump[]): void {
    this.#found.clear()
    for (const dump of found) {
      const others = this.#found.get(dump.partition)
      if (others === undefined) this.#found.set(dump.partition, [dump])
      else others.push(dump)
    }
  }

  /** A dump was taken just now, on these drives as far as they took it. */
  took(partition: number, places: string): void {
    this.#tookOn.set(partition, places)
    this.#shortMs.delete(partition)
    this.#tookMs.set(partition, this.#clock.monotonicMs())
    this.#overdue.delete(partition)
  }

  /** What there is is not worth its age: another is due until one is taken. */
  wantAnew(partition: number): void {
    this.#overdue.add(partition)
  }

  /** Whether another dump is to be taken now. */
  isDue(partition: number, outlook: DumpOutlook): boolean {
    if (this.#overdue.has(partition)) return true
    const storeMs = this.#storeAgeMs()
    // The first one soon, yet not of a store that was made just now and holds nothing.
    if (!this.#found.has(partition)) return storeMs >= this.#soonMs
    const ageMs = this.ageMs(partition)
    // Nobody knows how old those are. What is taken now has a time that can be believed.
    if (ageMs === undefined) return true
    const isYoung = storeMs - ageMs < this.#everyMs
    const periodMs = isYoung ? this.#everyMs / YOUNG_FACTOR : this.#everyMs
    if (Math.max(ageMs, this.#sinceTookMs(partition)) >= periodMs) return true
    const enoughMs = this.ageMs(partition, outlook)
    if (enoughMs === undefined || enoughMs >= periodMs) return this.#isShort(partition, outlook)
    this.#shortMs.delete(partition)
    return false
  }

  /** How old the newest with copies enough is; undefined when there is none, or none whose time has come. */
  ageMs(partition: number, { isEnough }: Partial<DumpOutlook> = {}): number | undefined {
    const nowMs = this.#clock.now()
    const ages = (this.#found.get(partition) ?? [])
      .filter((dump) => isEnough?.(dump) !== false)
      .map(({ takenMs }) => nowMs - takenMs)
      .filter((ageMs) => ageMs >= -AHEAD_MS_MAX)
    return ages.length === 0 ? undefined : Math.max(0, Math.min(...ages))
  }

  /** Whether copies have been missing for a while, and another dump would have more: a drive may be back soon. */
  #isShort(partition: number, { places }: DumpOutlook): boolean {
    if (this.#tookOn.get(partition) === places) return false
    const nowMs = this.#clock.monotonicMs()
    const sinceMs = this.#shortMs.get(partition) ?? nowMs
    this.#shortMs.set(partition, sinceMs)
    return nowMs - sinceMs >= this.#soonMs
  }

  /** 0 where this process took none: others tell then. */
  #sinceTookMs(partition: number): number {
    const tookMs = this.#tookMs.get(partition)
    return tookMs === undefined ? 0 : this.#clock.monotonicMs() - tookMs
  }

  /** At least what went by since the start: the store may have been made by a clock that was ahead. */
  #storeAgeMs(): number {
    const upMs = this.#clock.monotonicMs() - this.#openedMs
    return Math.max(this.#clock.now() - this.#bornMs, upMs)
  }
}
