// Shards that other nodes are reading: kept open between two cells, so that a stream of cells opens its shard once.
// Only to be faster: a reader that was closed here is opened again by the next request for it.
import type { ShardOpened, ShardReader } from '../contract.ts'

/** What opening gave, without a reader where there is one: that is kept here. */
export type Held = { kind: 'found' } | Exclude<ShardOpened, { kind: 'found' }>

interface Entry {
  opening: Promise<ShardOpened>
  users: number
  usedMs: number
  isLetGo: boolean
}

/** Open readers by name. */
export class OpenReaders {
  readonly #entries = new Map<string, Entry>()
  readonly #max: number

  /** At most `max` that nobody uses just now stay open. */
  constructor(max: number) {
    this.#max = max
  }

  /** How many are kept. */
  get size(): number {
    return this.#entries.size
  }

  /** Uses the reader of this name; `open` gives it when there is none. */
  async use<Result>(
    name: string,
    nowMs: number,
    open: () => Promise<ShardOpened>,
    work: (reader: ShardReader) => Promise<Result>,
  ): Promise<Result | Exclude<Held, { kind: 'found' }>> {
    const entry = this.#entryOf(name, nowMs, open)
    try {
      const opened = await entry.opening
      if (opened.kind === 'found') return await work(opened.reader)
      this.#forget(name, entry)
      return opened
    } catch (error) {
      // The next one shall find out anew how the drive is.
      this.#forget(name, entry)
      throw error
    } finally {
      entry.users -= 1
      await this.#closeIfLetGo(entry)
      await this.#shrink()
    }
  }

  /** Closes a reader as soon as nobody uses it. */
  async close(name: string): Promise<void> {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    this.#forget(name, entry)
    await this.#closeIfLetGo(entry)
  }

  /** Closes those that were not used since `sinceMs`. */
  async closeIdle(sinceMs: number): Promise<void> {
    const idle = [...this.#entries].filter(([, entry]) => entry.usedMs < sinceMs)
    await Promise.all(idle.map(([name, entry]) => entry.users === 0 && this.close(name)))
  }

  #entryOf(name: string, nowMs: number, open: () => Promise<ShardOpened>): Entry {
    const entry = this.#entries.get(name) ?? {
      opening: open(),
      users: 0,
      usedMs: nowMs,
      isLetGo: false,
    }
    entry.users += 1
    entry.usedMs = nowMs
    // Behind all others: the first ones are those that were not used for longest.
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    return entry
  }

  #forget(name: string, entry: Entry): void {
    entry.isLetGo = true
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
  }

  async #shrink(): Promise<void> {
    for (const [name, entry] of this.#entries) {
      if (this.#entries.size <= this.#max) return
      if (entry.users === 0) await this.close(name)
    }
  }

  async #closeIfLetGo(entry: Entry): Promise<void> {
    if (!entry.isLetGo || entry.users > 0) return
    const opened = await entry.opening.catch(() => undefined) // Who opened it has heard of that.
    if (opened?.kind === 'found') await opened.reader.close()
  }
}
