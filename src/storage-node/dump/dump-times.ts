// When a partition gets its next dump, and how old the newest one is. The wall clock may have been wrong when dumps were named:
// a time that has not come yet says nothing of their age.
import type { Clock } from '../../kit/world.ts'
import type { FoundDump } from './dump-files.ts'

/** A young store changes much: until it is `everyMs` old it is dumped so many times as often. */
const YOUNG_FACTOR = 7
/** Clocks are put right by less than this all the time. */
const AHEAD_MS_MAX = 60_000

/** Knows the dumps that were found last. */
export class DumpTimes {
  readonly #everyMs: number
  readonly #bornMs: number
  readonly #clock: Clock
  readonly #openedMs: number
  readonly #found = new Map<number, FoundDump[]>()
  /** By the monotonic clock: when this process last took one of each partition. */
  readonly #tookMs = new Map<number, number>()
  readonly #overdue = new Set<number>()

  /** `everyMs`: a dump is not older. `bornMs`: when the store was made. */
  constructor({ everyMs, bornMs }: { everyMs: number; bornMs: number }, clock: Clock) {
    this.#everyMs = everyMs
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

  /** A dump was taken just now. */
  took(partition: number): void {
    this.#tookMs.set(partition, this.#clock.monotonicMs())
    this.#overdue.delete(partition)
  }

  /** What there is is not worth its age: another is due until one is taken. */
  wantAnew(partition: number): void {
    this.#overdue.add(partition)
  }

  /** Whether another dump is to be taken now. */
  isDue(partition: number): boolean {
    if (this.#overdue.has(partition)) return true
    const storeMs = this.#storeAgeMs()
    // The first one soon, yet not of a store that was made just now and holds nothing.
    if (!this.#found.has(partition)) return storeMs >= this.#everyMs / YOUNG_FACTOR / 24
    const ageMs = this.ageMs(partition)
    // Nobody knows how old those are. What is taken now has a time that can be believed.
    if (ageMs === undefined) return true
    const isYoung = storeMs - ageMs < this.#everyMs
    const passedMs = Math.max(ageMs, this.#sinceTookMs(partition))
    return passedMs >= (isYoung ? this.#everyMs / YOUNG_FACTOR : this.#everyMs)
  }

  /** How old the newest is; undefined when there is none, or none whose time has come. */
  ageMs(partition: number): number | undefined {
    const nowMs = this.#clock.now()
    const ages = (this.#found.get(partition) ?? [])
      .map(({ takenMs }) => nowMs - takenMs)
      .filter((ageMs) => ageMs >= -AHEAD_MS_MAX)
    return ages.length === 0 ? undefined : Math.max(0, Math.min(...ages))
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
