// Time of a simulated cluster: what is to happen, in order of when, and of two at once the one asked for first.

interface Due {
  at: number
  order: number
  happen: () => void
}

/** Events of one world. */
export class Schedule {
  #now = 0
  #order = 0
  readonly #heap: Due[] = []

  get now(): number {
    return this.#now
  }

  /** `happen` comes after `delay`. */
  after(delay: number, happen: () => void): void {
    this.#order += 1
    this.#heap.push({ at: this.#now + delay, order: this.#order, happen })
    this.#rise(this.#heap.length - 1)
  }

  /** Lets everything happen that is due before `end`. */
  runTo(end: number): void {
    for (let due = this.#heap[0]; due !== undefined && due.at <= end; due = this.#heap[0]) {
      this.#takeFirst()
      this.#now = due.at
      due.happen()
    }
    this.#now = end
  }

  #rise(start: number): void {
    const heap = this.#heap
    for (let at = start; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!isBefore(heap[at]!, heap[parent]!)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #takeFirst(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    for (let at = 0; ; ) {
      const child = this.#earlierChild(at)
      if (child === undefined || !isBefore(this.#heap[child]!, this.#heap[at]!)) return
      this.#swap(at, child)
      at = child
    }
  }

  #earlierChild(at: number): number | undefined {
    const left = 2 * at + 1
    if (left >= this.#heap.length) return undefined
    const right = left + 1
    return right < this.#heap.length && isBefore(this.#heap[right]!, this.#heap[left]!)
      ? right
      : left
  }

  #swap(left: number, right: number): void {
    const kept = this.#heap[left]!
    this.#heap[left] = this.#heap[right]!
    this.#heap[right] = kept
  }
}

function isBefore(left: Due, right: Due): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order)
}
