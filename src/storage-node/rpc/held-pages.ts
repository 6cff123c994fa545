// Long answers, a page for each request: what they are read from stays open between two of them, and is closed when nobody asks.
import { Overloaded } from '../../kit/semaphore.ts'
import type { World } from '../../kit/world.ts'
import { BadMessage } from './trouble.ts'

/** One answer that is under way. */
interface Held<Page> {
  pages: AsyncIterator<Page>
  ending: AbortController
  index: number
  /** That of `index`: asked for again it is given again. */
  page: Promise<Page | undefined>
  usedMs: number
}

const IDLE_MS = 60_000

/** Answers of one kind, by names that askers give them. */
export class HeldPages<Page> {
  readonly #most: number
  readonly #clock: World['clock']
  readonly #held = new Map<string, Held<Page>>()

  /** At most so many at once. */
  constructor(most: number, clock: World['clock']) {
    this.#most = most
    this.#clock = clock
  }

  /** Page `index`, or undefined behind the last; the first one opens it. Throws Overloaded, and BadMessage when pages are out of order. */
  async page(
    name: string,
    index: number,
    open: (signal: AbortSignal) => AsyncIterable<Page>,
  ): Promise<Page | undefined> {
    const held = this.#held.get(name) ?? this.#begin(name, index, open)
    held.usedMs = this.#clock.monotonicMs()
    if (index === held.index + 1) {
      held.index = index
      held.page = next(held.pages)
    } else if (index !== held.index) throw new BadMessage('pages are asked for in order')
    return await held.page
  }

  /** No more of it are wanted. */
  end(name: string): void {
    const held = this.#held.get(name)
    if (held === undefined) return
    this.#held.delete(name)
    held.ending.abort(new Error('no more pages are wanted'))
    // It fails because it was ended: nobody waits for it.
    held.page.catch(() => undefined)
    held.pages.return?.().catch(() => undefined)
  }

  /** Ends all that are under way. */
  close(): void {
    for (const name of [...this.#held.keys()]) this.end(name)
  }

  #begin(
    name: string,
    index: number,
    open: (signal: AbortSignal) => AsyncIterable<Page>,
  ): Held<Page> {
    if (index !== 0) throw new BadMessage('what is asked for is not known any more')
    if (this.#held.size >= this.#most) throw new Overloaded('too much is read at once')
    const ending = new AbortController()
    const pages = open(ending.signal)[Symbol.asyncIterator]()
    const usedMs = this.#clock.monotonicMs()
    const held: Held<Page> = { pages, ending, index: 0, page: next(pages), usedMs }
    this.#held.set(name, held)
    void this.#endWhenIdle(name, held)
    return held
  }

  /** Who asks for no more pages may have gone: what is read for it must not be held for ever. */
  async #endWhenIdle(name: string, held: Held<Page>): Promise<void> {
    while (!held.ending.signal.aborted) {
      await this.#clock.sleep(IDLE_MS, held.ending.signal).catch(() => undefined) // It was ended.
      if (this.#clock.monotonicMs() - held.usedMs >= IDLE_MS) this.end(name)
    }
  }
}

async function next<Page>(pages: AsyncIterator<Page>): Promise<Page | undefined> {
  const result = await pages.next()
  return result.done ? undefined : result.value
}
