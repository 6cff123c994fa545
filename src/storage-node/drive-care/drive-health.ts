// What is known of the health of one drive: how long its operations take, which failed, and what is under way.
// It observes only; judge-drives.ts compares drives and says what that means.
import { assert } from '../../kit/assert.ts'

/** Kinds of operation, by how heavy they are. `other` changes or reads directories. */
export type OperationKind = 'read' | 'other' | 'write' | 'sync'

/** Every kind there is. */
export const OPERATION_KINDS = ['read', 'other', 'write', 'sync'] as const

/** An operation under way. */
export interface OperationUnderWay {
  readonly kind: OperationKind
  readonly begunMs: number
}

/** Latency of one kind of operation, in milliseconds; zeros before the first. */
export interface Latency {
  count: number
  /** Of the last operations. */
  p50Ms: number
  p95Ms: number
}

// Enough for a p95, few enough that what is long past is soon forgotten.
const KEPT_LATENCIES = 128
const KEPT_ERRORS = 64
// Quantiles are made anew after this long, or when somebody asks after that.
const QUANTILES_EVERY_MS = 250

/** Errors older than this are forgotten. */
const ERRORS_WITHIN_MS = 10 * 60_000

/** Observes one drive. `now` is a clock that discounts what the process slept. */
export class DriveHealth {
  readonly #now: () => number
  readonly #underWay = new Set<OperationUnderWay>()
  readonly #kinds: Record<OperationKind, KindHealth>
  readonly #errorsMs: number[] = []

  constructor(now: () => number) {
    this.#now = now
    this.#kinds = {
      read: new KindHealth(now),
      other: new KindHealth(now),
      write: new KindHealth(now),
      sync: new KindHealth(now),
    }
  }

  /** Observes an operation from its beginning to its end. Every read passes here: no more than one promise for it. */
  observe<T>(kind: OperationKind, operation: () => Promise<T>): Promise<T> {
    const entry: OperationUnderWay = { kind, begunMs: this.#now() }
    this.#underWay.add(entry)
    const fail = (error: unknown): never => {
      this.#underWay.delete(entry)
      if (countsAgainstDrive(error)) this.#noteError()
      throw error
    }
    return begin(operation).then((result) => {
      this.#underWay.delete(entry)
      this.#kinds[kind].ended(entry.begunMs)
      return result
    }, fail)
  }

  /** The operation that has been under way for longest. */
  get oldest(): OperationUnderWay | undefined {
    // A Set keeps the order in which operations began.
    return this.#underWay.values().next().value
  }

  /** Errors of the medium within the last ten minutes. */
  get errors(): number {
    const since = this.#now() - ERRORS_WITHIN_MS
    while (this.#errorsMs.length > 0 && this.#errorsMs[0]! < since) this.#errorsMs.shift()
    return this.#errorsMs.length
  }

  latency(kind: OperationKind): Latency {
    return this.#kinds[kind].latency()
  }

  /** When the latest of the operations of this kind that ended well was begun; undefined before the first. */
  lastDone(kind: OperationKind): number | undefined {
    return this.#kinds[kind].lastBegunMs
  }

  /** Forgets latencies: what was measured before says nothing of the drive as it is now. */
  forgetLatencies(): void {
    for (const kind of OPERATION_KINDS) this.#kinds[kind].forget()
  }

  #noteError(): void {
    this.#errorsMs.push(this.#now())
    if (this.#errorsMs.length > KEPT_ERRORS) this.#errorsMs.shift()
  }
}

function begin<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return operation()
  } catch (error) {
    return Promise.reject(error)
  }
}

class KindHealth {
  readonly #now: () => number
  readonly #latencies: number[] = []
  #next = 0
  #count = 0
  #quantiles: { atMs: number; latency: Latency } | undefined
  lastBegunMs: number | undefined

  constructor(now: () => number) {
    this.#now = now
  }

  ended(begunMs: number): void {
    const ms = this.#now() - begunMs
    assert(ms >= 0, 'time does not go back')
    this.lastBegunMs = Math.max(this.lastBegunMs ?? begunMs, begunMs)
    this.#latencies[this.#next] = ms
    this.#next = (this.#next + 1) % KEPT_LATENCIES
    this.#count += 1
  }

  latency(): Latency {
    const now = this.#now()
    if (this.#quantiles === undefined || now - this.#quantiles.atMs >= QUANTILES_EVERY_MS) {
      this.#quantiles = { atMs: now, latency: this.#measure() }
    }
    return this.#quantiles.latency
  }

  forget(): void {
    this.#latencies.length = 0
    this.#next = 0
    this.#count = 0
    this.#quantiles = undefined
  }

  #measure(): Latency {
    const sorted = Float64Array.from(this.#latencies).sort()
    const quantile = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
    return {
      count: this.#count,
      p50Ms: quantile(0.5),
      p95Ms: quantile(0.95),
    }
  }
}

// What a medium says that could not read or write what it was asked to.
const MEDIUM_ERRORS = new Set(['EIO', 'EBADMSG', 'EREMOTEIO', 'EUCLEAN', 'ETIMEDOUT', 'EILSEQ'])

/** Whether `error` says that the medium failed at what was asked of it. */
function countsAgainstDrive(error: unknown): boolean {
  return MEDIUM_ERRORS.has((error as { code?: string } | undefined)?.code ?? '')
}
