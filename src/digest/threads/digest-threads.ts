// Threads beside the one that serves, for the digests of long bodies: they are a third of what a PUT costs, and need nothing
// but its bytes. Those lie in memory that is shared, so that nothing is copied on the way.
import { Worker } from 'node:worker_threads'
import { assert } from '../../kit/assert.ts'
import { Deadlines } from '../../kit/deadlines.ts'
import { giveBack } from '../../kit/lent-bytes.ts'
import type { Clock } from '../../kit/world.ts'
import type { DigestName } from '../digest.ts'
import {
  type FromThread,
  PORTIONS_THAT_URGE,
  PORTIONS_UNDER_WAY_MAX,
  STREAMS_THAT_WAIT,
  type ToThread,
} from './messages.ts'

/** Streams of one thread: there is no gain by more, and each of them has memory. */
const STREAMS_MAX = 16

/** A thread that says nothing for so long while somebody waits for it is given up. */
const SILENCE_MS = 30_000

/** One that ended is not started again before. */
const PAUSE_MS = 1_000

/** The thread that digested a body has ended. */
export class DigestThreadLost extends Error {
  override readonly name = 'DigestThreadLost'
  readonly code = 'DIGEST_THREAD_LOST'
}

/** How many threads, one at least. By `clock` a silent one is given up, and one that ended rests before it is started again. */
export interface DigestThreadsOptions {
  count: number
  clock: Clock
  /** Another way to start one: a test has one that can not. */
  startWorker?: () => Worker
}

/** The threads of a process. One that ends takes the streams that it has with it, and is started again for the next ones. */
export class DigestThreads {
  readonly #clock: Clock
  readonly #deadlines: Deadlines
  readonly #startWorker: () => Worker
  readonly #threads: (DigestThread | { endedMs: number })[]
  #isClosed = false

  constructor({ count, clock, startWorker }: DigestThreadsOptions) {
    assert(count > 0, 'there is a thread')
    this.#clock = clock
    this.#startWorker = startWorker ?? newWorker
    this.#deadlines = new Deadlines(SILENCE_MS, clock)
    this.#threads = Array.from({ length: count }, (_, place) => this.#start(place))
  }

  /** A new stream for these digests; undefined while no thread has room for one. */
  begin(names: readonly DigestName[]): DigestStream | undefined {
    if (this.#isClosed) return undefined
    this.#startAgain()
    let best: DigestThread | undefined
    for (const thread of this.#threads) {
      if (!(thread instanceof DigestThread) || !thread.hasRoom) continue
      if (best === undefined || thread.streams < best.streams) best = thread
    }
    return best?.begin(names)
  }

  /** Ends all threads, and with them the streams that they have. */
  async close(): Promise<void> {
    this.#isClosed = true
    const threads = this.#threads.filter((thread) => thread instanceof DigestThread)
    await Promise.all(threads.map((thread) => thread.close()))
  }

  /** A system that has no thread for it now may have one later: until then it is as one that ended. */
  #start(place: number): DigestThread | { endedMs: number } {
    try {
      return new DigestThread(this.#startWorker(), this.#deadlines, () => {
        this.#threads[place] = { endedMs: this.#clock.monotonicMs() }
      })
    } catch {
      return { endedMs: this.#clock.monotonicMs() }
    }
  }

  #startAgain(): void {
    for (const [place, thread] of this.#threads.entries()) {
      if (thread instanceof DigestThread) continue
      if (this.#clock.monotonicMs() - thread.endedMs < PAUSE_MS) continue
      this.#threads[place] = this.#start(place)
    }
  }
}

function newWorker(): Worker {
  return new Worker(new URL('./digest-thread.js', import.meta.url), { execArgv: [] })
}

class DigestThread {
  readonly #worker: Worker
  readonly #deadlines: Deadlines
  readonly #streams = new Map<number, DigestStream>()
  readonly #onEnd: () => void
  /** What the thread is told when there is something to do for it: to be woken takes it as long as to digest some KiB. */
  #untold: ToThread[] = []
  #isReady = false
  #begun = 0
  #ended: DigestThreadLost | undefined

  constructor(worker: Worker, deadlines: Deadlines, onEnd: () => void) {
    this.#deadlines = deadlines
    this.#onEnd = onEnd
    this.#worker = worker
    this.#worker.unref()
    this.#worker.on('message', (message: FromThread) => this.#hear(message))
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', () => this.#end(undefined))
  }

  get streams(): number {
    return this.#streams.size
  }

  /** Whoever comes before it has started digests by himself. */
  get hasRoom(): boolean {
    return this.#isReady && this.#ended === undefined && this.#streams.size < STREAMS_MAX
  }

  begin(names: readonly DigestName[]): DigestStream {
    this.#begun += 1
    const number = this.#begun
    const stream = new DigestStream(number, {
      tell: (message) => {
        this.#untold.push(message)
      },
      urge: () => this.#tellAll(),
      isEager: () => this.#streams.size < STREAMS_THAT_WAIT,
      over: () => this.#streams.delete(number),
      within: (wait) => this.#deadlines.within(wait, () => this.#giveUp()),
    })
    this.#streams.set(number, stream)
    this.#untold.push({ kind: 'begin', stream: number, names })
    return stream
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #tellAll(): void {
    const messages = this.#untold
    this.#untold = []
    this.#worker.postMessage(messages satisfies readonly ToThread[])
  }

  #hear(message: FromThread): void {
    switch (message.kind) {
      case 'ready':
        this.#isReady = true
        return
      case 'taken':
        for (const stream of message.streams) this.#streams.get(stream)?.taken()
        return
      case 'done':
        this.#streams.get(message.stream)?.done(message.digests)
    }
  }

  #giveUp(): never {
    const lost = new DigestThreadLost(`a thread that digests said nothing for ${SILENCE_MS} ms`)
    this.#end(lost)
    // How it ends is for nobody to hear: it has been given up.
    void this.#worker.terminate().catch(() => undefined)
    throw lost
  }

  #end(cause: unknown): void {
    if (this.#ended !== undefined) return
    this.#ended = new DigestThreadLost('the thread that digests the body has ended', { cause })
    for (const stream of this.#streams.values()) stream.fail(this.#ended)
    this.#streams.clear()
    this.#untold = []
    this.#onEnd()
  }
}

interface StreamParts {
  /** Says it together with the next that urges. */
  tell(message: ToThread): void
  /** Says what there is to say now. */
  urge(): void
  /** Whether nothing is to be gained by saying it later. */
  isEager(): boolean
  /** The thread has nothing more of the stream. */
  over(): void
  within<T>(wait: Promise<T>): Promise<T>
}

/** A stream of bytes that a thread digests. Ended by finish() or by drop(). */
export class DigestStream {
  readonly #number: number
  readonly #parts: StreamParts
  /** What the thread has, the oldest first. */
  readonly #underWay: Uint8Array[] = []
  /** Since it was urged last. */
  #told = 0
  #state: 'open' | 'ending' | 'dropped' = 'open'
  #digests: readonly Uint8Array[] | undefined
  #failed: Error | undefined
  #wake: (() => void) | undefined

  constructor(number: number, parts: StreamParts) {
    this.#number = number
    this.#parts = parts
  }

  /** Resolves when the thread has room for a portion. */
  async room(): Promise<void> {
    for (;;) {
      if (this.#failed !== undefined) throw this.#failed
      if (this.#underWay.length < PORTIONS_UNDER_WAY_MAX) return
      await this.#change()
    }
  }

  /** Hands over a portion of shared memory, that is lent: it is given back when the thread is done with it. */
  write(portion: Uint8Array): void {
    assert(this.#state === 'open', 'a stream takes no bytes after its end')
    if (this.#failed !== undefined) return
    this.#underWay.push(portion)
    this.#parts.tell({ kind: 'bytes', stream: this.#number, bytes: portion })
    this.#told += 1
    if (this.#told >= PORTIONS_THAT_URGE || this.#parts.isEager()) this.#urge()
  }

  #urge(): void {
    this.#told = 0
    this.#parts.urge()
  }

  /** The digests, in the order of their names. Throws DigestThreadLost. */
  async finish(): Promise<readonly Uint8Array[]> {
    this.#state = 'ending'
    if (this.#failed === undefined) {
      this.#parts.tell({ kind: 'end', stream: this.#number })
      this.#urge()
    }
    for (;;) {
      if (this.#failed !== undefined) throw this.#failed
      if (this.#digests !== undefined) return this.#digests
      await this.#change()
    }
  }

  /** Nobody wants the digests. Without effect when they were given. */
  drop(): void {
    if (this.#state !== 'open' || this.#failed !== undefined) return
    this.#state = 'dropped'
    this.#parts.tell({ kind: 'drop', stream: this.#number })
    this.#urge()
    if (this.#underWay.length === 0) this.#parts.over()
  }

  /** Of the thread: it is done with the oldest portion. */
  taken(): void {
    giveBack(this.#underWay.shift()!)
    if (this.#state === 'dropped' && this.#underWay.length === 0) this.#parts.over()
    this.#wake?.()
  }

  /** Of the thread: the end of the stream. */
  done(digests: readonly Uint8Array[]): void {
    this.#digests = digests
    this.#parts.over()
    this.#wake?.()
  }

  /** The thread is gone. What it had is not given back: nobody knows whether it reads on. */
  fail(error: Error): void {
    this.#failed = error
    this.#wake?.()
  }

  async #change(): Promise<void> {
    const change = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    try {
      await this.#parts.within(change)
    } finally {
      this.#wake = undefined
    }
  }
}
