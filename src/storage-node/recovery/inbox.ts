// Pages that come one request after the other, for somebody who reads them in a row. A page that is sent again, because its answer was
// lost, is taken once.
import type { World } from '../../kit/world.ts'
import type { RowsPage } from '../replicated/contract.ts'
import { BadMessage } from '../rpc/trouble.ts'

/** Whoever sends nothing for so long has gone. */
const IDLE_MS = 60_000

/** The pages of one copy of rows. At most one waits. */
export class Inbox {
  readonly #clock: World['clock']
  readonly #ending = new AbortController()
  #index = -1
  #taken: Promise<void> = Promise.resolve()
  #served: Promise<void> = Promise.resolve()
  #waiting: { page: RowsPage | undefined; take: () => void } | undefined
  /** Fails whoever handed over the last page, unless that was taken. */
  #refuse: (reason: unknown) => void = () => {}
  #wake: () => void = () => {}

  constructor(clock: World['clock']) {
    this.#clock = clock
  }

  /** The work of who reads them. When it fails, so does everybody who puts something in. */
  serve(work: Promise<void>): void {
    this.#served = work
    work.catch((error: unknown) => this.end(error))
  }

  /** Resolves when page `index` was taken; without a page, when the work that reads them is done. */
  async put(index: number, page: RowsPage | undefined): Promise<void> {
    if (index === this.#index + 1) {
      this.#index = index
      this.#taken = this.#hand(page)
    } else if (index !== this.#index) throw new BadMessage('pages are given in order')
    await this.#taken
    if (page === undefined) await this.#served
  }

  /** What comes is not wanted any more. */
  end(reason: unknown): void {
    this.#ending.abort(reason)
    this.#refuse(this.#ending.signal.reason)
    this.#wake()
  }

  /** All of them, to be read once. */
  async *pages(): AsyncGenerator<RowsPage> {
    for (;;) {
      await this.#arrival()
      const { page, take } = this.#waiting!
      this.#waiting = undefined
      take()
      if (page === undefined) return
      yield page
    }
  }

  #hand(page: RowsPage | undefined): Promise<void> {
    const { signal } = this.#ending
    const taken = new Promise<void>((resolve, reject) => {
      this.#waiting = { page, take: resolve }
      this.#refuse = reject
      if (signal.aborted) reject(signal.reason)
    })
    this.#wake()
    return taken
  }

  async #arrival(): Promise<void> {
    const { signal } = this.#ending
    signal.throwIfAborted()
    if (this.#waiting !== undefined) return
    const arrived = new AbortController()
    this.#wake = () => arrived.abort()
    // Aborted: a page is there, or none is wanted.
    await this.#clock.sleep(IDLE_MS, arrived.signal).catch(() => undefined)
    signal.throwIfAborted()
    if (this.#waiting === undefined) throw new Error('no rows came for long')
  }
}
