// How many uploads are under way and what they hold, without walking over all of them whenever somebody asks: few are counted anew, many
// not more than once a minute.
import type { UploadCensus } from '../metadata/contract.ts'

/** So many are counted in some milliseconds. */
const FEW = 1000
const KEPT_MS = 60_000

/** What a census is taken with. */
export interface CensusParts {
  clock: { monotonicMs(): number }
  /** Counts all of them; throws when it can not. */
  count(): Promise<UploadCensus>
}

/** The last census, for as long as it will do. */
export class KeptCensus {
  readonly #parts: CensusParts
  #last: { atMs: number; census: UploadCensus } | undefined
  #underWay: Promise<UploadCensus> | undefined

  constructor(parts: CensusParts) {
    this.#parts = parts
  }

  /** How many there are, or were a minute ago when they and their parts were more than 1,000. Throws as count() does. */
  async take(): Promise<UploadCensus> {
    const { clock } = this.#parts
    const { atMs, census } = this.#last ?? {}
    const isMany = census !== undefined && census.count + census.parts > FEW
    if (isMany && clock.monotonicMs() - atMs! < KEPT_MS) return census
    if (isMany) return await this.#takeTogether()
    return await this.#takeNow()
  }

  /** Many who ask at once share one. Not of few: who asks after a change shall see it. */
  async #takeTogether(): Promise<UploadCensus> {
    this.#underWay ??= this.#takeNow().finally(() => {
      this.#underWay = undefined
    })
    return await this.#underWay
  }

  async #takeNow(): Promise<UploadCensus> {
    const { clock, count } = this.#parts
    const census = await count()
    this.#last = { atMs: clock.monotonicMs(), census }
    return census
  }
}
