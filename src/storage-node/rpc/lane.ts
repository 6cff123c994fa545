// Small requests of one kind to one node, so many at once: those past that wait here.
// A lane is for what may wait for each other, such as requests for one drive: what hangs holds up its own lane only.
import { Overloaded } from '../../kit/semaphore.ts'
import type { Clock } from '../../kit/world.ts'
import { NodeUnreachable } from './trouble.ts'

/** A request that waits in a lane, or for its answer. */
export interface LaneRequest {
  type: number
  body: Uint8Array
  /** On our monotonic clock. */
  deadlineMs: number
}

/** What became of a request. */
export type RequestEnd = { body: Uint8Array } | { error: Error }

/** Whoever has a request under way, and hears when nobody waits for its answer any more. */
export interface RequestWay {
  giveUp(asked: AskedRequest): void
}

/** Sends a request and settles it, unless it was settled before. */
export type SendRequest = (asked: AskedRequest) => void

/** A request from when it is asked until somebody settles it. */
export class AskedRequest implements LaneRequest {
  readonly type: number
  readonly body: Uint8Array
  readonly deadlineMs: number
  /** Has left its lane. */
  isBegun = false
  /** The way that it may have gone by now; undefined while the other node can have seen nothing of it. */
  way: RequestWay | undefined
  /** It was in a session that the other node had forgotten. */
  wasForgotten = false
  #onEnd: ((end: RequestEnd) => void) | undefined

  constructor({ type, body, deadlineMs }: LaneRequest, onEnd: (end: RequestEnd) => void) {
    this.type = type
    this.body = body
    this.deadlineMs = deadlineMs
    this.#onEnd = onEnd
  }

  get isSettled(): boolean {
    return this.#onEnd === undefined
  }

  /** Only the first end counts. */
  settle(end: RequestEnd): void {
    const onEnd = this.#onEnd
    this.#onEnd = undefined
    onEnd?.(end)
  }
}

/** Bounds of a lane. */
export interface LaneLimits {
  underWay: number
  /** Of those under way together, but for one that is longer by itself. */
  underWayBytes: number
  waiting: number
}

const LIMITS: LaneLimits = {
  underWay: 128,
  underWayBytes: 2 * 1024 * 1024,
  waiting: 1024,
}

/** Why a wait is aborted. Without a reason of its own every abort would make an error with its stack, at some cost. */
export const NOT_NEEDED = 'not needed any more'

/** A lane. */
export class Lane {
  readonly #send: SendRequest
  readonly #clock: Clock
  readonly #limits: LaneLimits
  readonly #waiting: AskedRequest[] = []
  /** Those that were not settled yet, begun or not. */
  readonly #pending = new Set<AskedRequest>()
  #wake = new AbortController()
  #wakeMs = Number.POSITIVE_INFINITY
  #underWay = 0
  #underWayBytes = 0

  constructor(send: SendRequest, clock: Clock, limits: Partial<LaneLimits> = {}) {
    this.#send = send
    this.#clock = clock
    this.#limits = { ...LIMITS, ...limits }
  }

  /** Whether nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return this.#pending.size === 0
  }

  /** The answer to a request. Rejects with what the other node said, with NodeUnreachable, or with Overloaded. */
  ask(request: LaneRequest): Promise<Uint8Array> {
    if (this.#waiting.length >= this.#limits.waiting) {
      return Promise.reject(new Overloaded('too many requests wait for a node already'))
    }
    return new Promise((resolve, reject) => {
      const asked = new AskedRequest(request, (end) => {
        this.#noteEnd(asked)
        if ('error' in end) reject(end.error)
        else resolve(end.body)
      })
      this.#pending.add(asked)
      this.#waiting.push(asked)
      if (request.deadlineMs < this.#wakeMs) this.#wakeAt(request.deadlineMs)
      this.#beginSome()
    })
  }

  #beginSome(): void {
    while (this.#waiting.length > 0 && this.#hasRoomFor(this.#waiting[0]!)) {
      const asked = this.#waiting.shift()!
      asked.isBegun = true
      this.#underWay += 1
      this.#underWayBytes += asked.body.length
      this.#send(asked)
    }
  }

  #hasRoomFor({ body }: LaneRequest): boolean {
    if (this.#underWay === 0) return true
    const { underWay, underWayBytes } = this.#limits
    return this.#underWay < underWay && this.#underWayBytes + body.length <= underWayBytes
  }

  #noteEnd(asked: AskedRequest): void {
    this.#pending.delete(asked)
    if (!asked.isBegun) return
    this.#underWay -= 1
    this.#underWayBytes -= asked.body.length
    this.#beginSome()
  }

  /** One timer for all: deadlines mostly come in their order. */
  #wakeAt(deadlineMs: number): void {
    this.#wake.abort(NOT_NEEDED)
    this.#wake = new AbortController()
    this.#wakeMs = deadlineMs
    const leftMs = Math.max(0, deadlineMs - this.#clock.monotonicMs())
    this.#clock.sleep(leftMs, this.#wake.signal).then(
      () => this.#giveUpLate(),
      () => undefined, // It is to be earlier.
    )
  }

  /** Who waits is told; what is under way may go on behind its back. */
  #giveUpLate(): void {
    const nowMs = this.#clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    const late: AskedRequest[] = []
    for (const asked of this.#pending) {
      if (asked.deadlineMs > nowMs) nextMs = Math.min(nextMs, asked.deadlineMs)
      else late.push(asked)
    }
    this.#wakeMs = nextMs
    // Those that wait first: what is late is not begun in the place of others.
    for (const asked of late.reverse()) this.#giveUp(asked)
    if (nextMs < Number.POSITIVE_INFINITY) this.#wakeAt(nextMs)
  }

  #giveUp(asked: AskedRequest): void {
    const place = asked.isBegun ? -1 : this.#waiting.indexOf(asked)
    if (place >= 0) this.#waiting.splice(place, 1)
    const { way } = asked
    const outcome = way === undefined ? 'not-sent' : 'unknown'
    asked.settle({ error: new NodeUnreachable('a node did not answer in time', outcome) })
    way?.giveUp(asked)
  }
}
