// Virtual time: everything that waits is an event in one heap, and the next one comes when nothing more can happen
// before it. The order of all events follows from the seed.

/** What will happen. */
export interface Event {
  readonly atMs: number
  readonly order: number
  /** Undefined: it was called off. */
  run: (() => void) | undefined
}

/** Time of a simulated machine. */
export class SimTime {
  /** Milliseconds since the beginning; never goes back. */
  nowMs = 0
  /** Events so far: the clock of histories, which tells any two apart. */
  ticks = 0
  readonly #heap: Event[] = []
  #order = 0

  /** Events that wait. */
  get waiting(): number {
    return this.#heap.length
  }

  /** Runs `run` in `ms`. */
  after(ms: number, run: () => void): void {
    this.plan(ms, run)
  }

  /** As after(), for what may be called off. */
  plan(ms: number, run: () => void): Event {
    this.#order += 1
    const event = { atMs: this.nowMs + Math.max(0, ms), order: this.#order, run }
    this.#push(event)
    return event
  }

  /** It does not happen: what waits with a deadline is mostly done before, and time need not stop there. */
  cancel(event: Event): void {
    event.run = undefined
  }

  /** For what does not belong to a process: clients and the one who breaks things. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve)
    })
  }

  /** Goes on until `work` is done; throws what it throws, or at `deadlineMs`. */
  async drive<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
    let isDone = false
    const done = (): void => {
      isDone = true
    }
    work.then(done, done)
    await turns(() => {
      if (isDone) return true
      const event = this.#next()
      if (event === undefined) throw new Error('nothing is left that could happen')
      if (event.atMs > deadlineMs) throw new Error(`not done after ${deadlineMs} ms`)
      this.nowMs = event.atMs
      this.ticks += 1
      event.run?.()
      return false
    })
    return await work
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (isBefore(heap[above]!, event)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = event
  }

  /** The first that was not called off. */
  #next(): Event | undefined {
    for (;;) {
      const event = this.#pop()
      if (event === undefined || event.run !== undefined) return event
    }
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let next = 2 * at + 1
      if (next >= heap.length) break
      if (next + 1 < heap.length && isBefore(heap[next + 1]!, heap[next]!)) next += 1
      if (isBefore(last, heap[next]!)) break
      heap[at] = heap[next]!
      at = next
    }
    heap[at] = last
    return first
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

/** So many turns are asked for at once: for each of them alone the loop would look for input and output. */
const TURNS = 256

/**
 * Takes turns until `turn` says that it was the last one. Before each of them nothing can go on any more: all promises
 * that are settled were heard.
 */
function turns(turn: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOver = false
    const take = (): void => {
      if (isOver) return
      try {
        isOver = turn()
        if (isOver) resolve()
      } catch (error) {
        isOver = true
        reject(error)
      }
    }
    const takeMany = (): void => {
      for (let count = 1; count < TURNS; count += 1) setImmediate(take)
      setImmediate(() => {
        if (!isOver) takeMany()
      })
    }
    takeMany()
  })
}
