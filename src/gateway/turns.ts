// Turns of requests: how many run at once, and who is next. Large bodies and small requests stand in lines of their own, and
// large ones never have all turns: who uploads gigabytes does not make a HEAD wait.
import { assert } from '../kit/assert.ts'
import { mebibytes } from '../kit/bytes.ts'
import { Overloaded } from '../kit/semaphore.ts'

/** What moves more bytes than this is large. */
const LARGE_BYTES = mebibytes(1)

/** `large`: more than 1 MiB comes in or goes out, or it is not known how much comes in. */
export type Size = 'small' | 'large'

/** How many run and wait. */
export interface TurnLimits {
  /** At once; large ones have half of these at most. */
  inFlight: number
  /** In each of the two lines; one more is refused. */
  waiting: number
}

interface TurnEnds {
  /** False when there is no room for one more large one. */
  tryGrow(): boolean
  end(size: Size): void
}

interface Waiter {
  /** Who came earlier has the lower one. */
  ticket: number
  grant(): void
}

/** Gives turns in order of arrival within each line, and between the lines to whoever has waited longer and may run. */
export class Turns {
  readonly #limits: TurnLimits
  readonly #largeMax: number
  readonly #lines: { readonly [Which in Size]: Waiter[] } = { small: [], large: [] }
  /** One for all turns: each of them costs no more than itself. */
  readonly #ends: TurnEnds = {
    tryGrow: () => {
      if (this.#lines.large.length > 0 || this.#runningLarge >= this.#largeMax) return false
      this.#runningLarge += 1
      return true
    },
    end: (size) => this.#end(size),
  }
  #running = 0
  #runningLarge = 0
  #tickets = 0

  constructor(limits: TurnLimits) {
    assert(limits.inFlight > 0, 'somebody may run')
    this.#limits = limits
    this.#largeMax = Math.max(1, Math.floor(limits.inFlight / 2))
  }

  /** A turn if that needs no waiting. */
  tryTake(size: Size): Turn | undefined {
    if (this.#lines[size].length > 0 || !this.#hasRoom(size)) return undefined
    return this.#begin(size)
  }

  /** Waits for a turn; aborting the signal leaves the line. Throws Overloaded when too many wait already. */
  async take(size: Size, signal: AbortSignal): Promise<Turn> {
    signal.throwIfAborted()
    const free = this.tryTake(size)
    if (free !== undefined) return free
    const line = this.#lines[size]
    if (line.length >= this.#limits.waiting) throw new Overloaded('too many wait already')
    return await new Promise((resolve, reject) => {
      const leave = (): void => {
        line.splice(line.indexOf(waiter), 1)
        reject(signal.reason)
      }
      const grant = (): void => {
        signal.removeEventListener('abort', leave)
        resolve(this.#begin(size))
      }
      const waiter = { ticket: this.#tickets, grant }
      this.#tickets += 1
      signal.addEventListener('abort', leave, { once: true })
      line.push(waiter)
    })
  }

  #begin(size: Size): Turn {
    this.#running += 1
    if (size === 'large') this.#runningLarge += 1
    return new Turn(size, this.#ends)
  }

  #end(size: Size): void {
    this.#running -= 1
    if (size === 'large') this.#runningLarge -= 1
    this.#grantNext()
  }

  #hasRoom(size: Size): boolean {
    if (this.#running >= this.#limits.inFlight) return false
    return size === 'small' || this.#runningLarge < this.#largeMax
  }

  #grantNext(): void {
    for (let line = this.#nextLine(); line !== undefined; line = this.#nextLine())
      line.shift()!.grant()
  }

  /** The line whose first may run and has waited longest. */
  #nextLine(): Waiter[] | undefined {
    const { small, large } = this.#lines
    const firstSmall = this.#hasRoom('small') ? small[0] : undefined
    const firstLarge = this.#hasRoom('large') ? large[0] : undefined
    if (firstSmall === undefined) return firstLarge && large
    if (firstLarge === undefined) return small
    return firstSmall.ticket < firstLarge.ticket ? small : large
  }
}

/** One turn, until end() is called. */
export class Turn {
  #size: Size
  #isOver = false
  readonly #ends: TurnEnds

  constructor(size: Size, ends: TurnEnds) {
    this.#size = size
    this.#ends = ends
  }

  /** So many bytes are to go out: what a request for them did not tell. False when they need a turn as a large one, in its line. */
  maySend(bytes: number): boolean {
    if (bytes <= LARGE_BYTES || this.#size === 'large') return true
    if (!this.#ends.tryGrow()) return false
    this.#size = 'large'
    return true
  }

  /** Lets the next one in. May be called twice. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#ends.end(this.#size)
  }
}

/** What the head of a request tells of its body. One that does not say how long it is may be of any length. */
export function sizeOfRequest(headers: Readonly<Record<string, string | undefined>>): Size {
  const length = headers['x-amz-decoded-content-length'] ?? headers['content-length']
  if (length === undefined) return headers['transfer-encoding'] === undefined ? 'small' : 'large'
  return Number(length) > LARGE_BYTES ? 'large' : 'small'
}
