// Small requests of one kind to one node, in batches: what is asked while two batches are under way goes with the next.
// A lane is for what may wait for each other, such as requests for one drive: what hangs holds up its own lane only.
import { Overloaded } from '../../kit/semaphore.ts'
import type { Clock } from '../../kit/world.ts'
import type { Answer } from './messages.ts'
import { NodeFailed, NodeUnreachable } from './trouble.ts'

/** A request that waits in a lane, or for its answer. */
export interface LaneRequest {
  type: number
  body: Uint8Array
  /** On our monotonic clock. */
  deadlineMs: number
}

/**
 * Sends a batch and calls back for every answer, which names its request by its place in the batch. Resolves when the
 * batch is over, rejects when it was broken off; throws Unsent when the other can have seen nothing of it.
 */
export type SendBatch = (
  requests: readonly LaneRequest[],
  onAnswer: (answer: Answer) => void,
  signal: AbortSignal,
) => Promise<void>

/** Bounds of a lane. */
export interface LaneLimits {
  batchesUnderWay: number
  /** A batch that takes longer makes room for another: for requests that must not wait for others of their lane. */
  slowMs: number
  /** Batches under way, slow ones too. */
  batchesMax: number
  batchRequests: number
  batchBytes: number
  waitingRequests: number
}

const LIMITS: LaneLimits = {
  batchesUnderWay: 2,
  slowMs: Number.POSITIVE_INFINITY,
  batchesMax: 2,
  batchRequests: 64,
  batchBytes: 1024 * 1024,
  waitingRequests: 1024,
}

interface Pending extends LaneRequest {
  isSent: boolean
  settle(end: { body: Uint8Array } | { error: Error }): void
  /** Called once it is settled. */
  onSettled: () => void
}

/** What answered everything has only to say that it is over, and its connection can be used again. */
const END_MS = 5_000

// Without a reason of its own every abort would make an error with its stack, at some cost.
const NOT_NEEDED = 'not needed any more'

/** A lane. */
export class Lane {
  readonly #send: SendBatch
  readonly #clock: Clock
  readonly #limits: LaneLimits
  readonly #waiting: Pending[] = []
  /** Those that were not settled yet, sent or not. */
  readonly #pending = new Set<Pending>()
  #wake = new AbortController()
  #wakeMs = Number.POSITIVE_INFINITY
  #underWay = 0
  /** Of those under way. */
  #slow = 0
  #isPumping = false

  constructor(send: SendBatch, clock: Clock, limits: Partial<LaneLimits> = {}) {
    this.#send = send
    this.#clock = clock
    this.#limits = { ...LIMITS, ...limits }
  }

  /** Whether nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#underWay === 0
  }

  /** The answer to a request. Rejects with what the other node said, with NodeUnreachable, or with Overloaded. */
  ask(request: LaneRequest): Promise<Uint8Array> {
    if (this.#waiting.length >= this.#limits.waitingRequests) {
      return Promise.reject(new Overloaded('too many requests wait for a node already'))
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        ...request,
        ...{ isSent: false, onSettled: () => {} },
        settle: (end) => {
          if (!this.#pending.delete(pending)) return
          if ('error' in end) reject(end.error)
          else resolve(end.body)
          pending.onSettled()
        },
      }
      this.#pending.add(pending)
      this.#waiting.push(pending)
      if (request.deadlineMs < this.#wakeMs) this.#wakeAt(request.deadlineMs)
      this.#pump()
    })
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

  /** Who waits is told; what is under way goes on behind its back until its batch is over. */
  #giveUpLate(): void {
    const nowMs = this.#clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const pending of this.#pending) {
      if (pending.deadlineMs > nowMs) nextMs = Math.min(nextMs, pending.deadlineMs)
      else this.#giveUp(pending)
    }
    this.#wakeMs = nextMs
    if (nextMs < Number.POSITIVE_INFINITY) this.#wakeAt(nextMs)
  }

  #giveUp(pending: Pending): void {
    const place = this.#waiting.indexOf(pending)
    if (place >= 0) this.#waiting.splice(place, 1)
    const outcome = pending.isSent ? 'unknown' : 'not-sent'
    pending.settle({ error: new NodeUnreachable('a node did not answer in time', outcome) })
  }

  /** Sends what waits, once all who ask in this moment have asked. */
  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    queueMicrotask(() => {
      this.#isPumping = false
      while (this.#waiting.length > 0 && this.#hasPlace) {
        void this.#sendBatch(this.#nextBatch())
      }
    })
  }

  get #hasPlace(): boolean {
    const { batchesUnderWay, batchesMax } = this.#limits
    return this.#underWay < batchesMax && this.#underWay - this.#slow < batchesUnderWay
  }

  #nextBatch(): Pending[] {
    const { batchRequests, batchBytes } = this.#limits
    let bytes = 0
    let count = 0
    for (const { body } of this.#waiting) {
      bytes += body.length
      if (count > 0 && (count >= batchRequests || bytes > batchBytes)) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  /** Counts a batch among the slow ones from when it is slow until its end. */
  #watchSlow(): { end(): void } {
    const { slowMs } = this.#limits
    if (slowMs === Number.POSITIVE_INFINITY) return { end: () => {} }
    const over = new AbortController()
    let isSlow = false
    this.#clock.sleep(slowMs, over.signal).then(
      () => {
        isSlow = true
        this.#slow += 1
        this.#pump()
      },
      () => undefined, // It was quick.
    )
    return {
      end: () => {
        over.abort(NOT_NEEDED)
        if (isSlow) this.#slow -= 1
      },
    }
  }

  async #sendBatch(batch: Pending[]): Promise<void> {
    this.#underWay += 1
    const over = new AbortController()
    let open = batch.length
    let answered = 0
    for (const pending of batch) {
      pending.isSent = true
      pending.onSettled = () => {
        open -= 1
        if (open > 0) return
        // Nobody waits for the rest of it.
        if (answered < batch.length) over.abort(NOT_NEEDED)
        else this.#awaitEnd(over)
      }
    }
    const watch = this.#watchSlow()
    const onAnswer = (answer: Answer): void => {
      const pending = batch[answer.id]
      if (pending === undefined) return
      answered += 1
      pending.settle(answer.kind === 'done' ? { body: answer.body } : { error: answer.failure })
    }
    try {
      await this.#send(batch, onAnswer, over.signal)
      // Errors cost their stacks, and mostly all are answered.
      if (open > 0) settleAll(batch, new NodeFailed('a node left a request without an answer'))
    } catch (error) {
      settleAll(batch, error instanceof Error ? error : new NodeFailed(String(error)))
    } finally {
      over.abort(NOT_NEEDED)
      this.#underWay -= 1
      watch.end()
      this.#pump()
    }
  }

  /** To break it off would cost its connection, with every batch: what is about to end may. */
  #awaitEnd(over: AbortController): void {
    this.#clock.sleep(END_MS, over.signal).then(
      () => over.abort(NOT_NEEDED),
      () => undefined, // It has ended.
    )
  }
}

function settleAll(batch: readonly Pending[], error: Error): void {
  for (const pending of batch) pending.settle({ error })
}
