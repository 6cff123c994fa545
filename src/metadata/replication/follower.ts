// What a primary knows of one replica, and how much it sends to it: a window, and one message at a time where in doubt.
import type { LogPosition } from '../log/contract.ts'
import type { LogEntry } from '../log/entry.ts'
import type { Limits } from './effects.ts'
import type { LogTail } from './log-tail.ts'

/** What to send next. */
export type NextMessage =
  | { kind: 'entries'; previous: LogPosition; entries: readonly LogEntry[] }
  /** What the replica lacks is gone from the log. */
  | { kind: 'install'; base: LogPosition }

type Mode =
  /** Where the logs agree is not known: one message, then wait for its answer. */
  | { kind: 'probe'; isSent: boolean }
  /** Entries are sent as they come, up to the window. */
  | { kind: 'stream' }

/** The progress of one replica under one reign. */
export class Follower {
  readonly #limits: Limits
  /** Everything up to here is durable there. */
  #matched = 0
  /** The first sequence that was not sent yet. */
  #next: number
  #mode: Mode = { kind: 'probe', isSent: false }
  /** Sent and not acknowledged: the last sequence of each message and its bytes. */
  #underWay: { sequence: number; bytes: number }[] = []
  #underWayBytes = 0
  #silentTicks = 0
  #waitedTicks = 0

  /** Begins behind `last`, where the reign began. */
  constructor(last: number, limits: Limits) {
    this.#next = last + 1
    this.#limits = limits
  }

  get matched(): number {
    return this.#matched
  }

  /** How long it said nothing. */
  get silentTicks(): number {
    return this.#silentTicks
  }

  /** What may be sent now, once; undefined when that is nothing. */
  take(tail: LogTail): NextMessage | undefined {
    if (this.#mode.kind === 'probe') return this.#takeProbe(tail)
    if (this.#next > tail.last.sequence || this.#isFull()) return undefined
    return this.#takeEntries(tail)
  }

  /** Behind what a message without entries is put: it shows at once whether one before it was lost. */
  place(tail: LogTail): LogPosition {
    const sequence = this.#next - 1
    const epoch = tail.epochAt(sequence)
    return epoch === undefined ? tail.base : { epoch, sequence }
  }

  /** Its log is ours up to `matched`. */
  appended(matched: number): void {
    this.#silentTicks = 0
    if (matched < this.#matched) return
    if (matched > this.#matched) this.#waitedTicks = 0
    this.#matched = matched
    this.#next = Math.max(this.#next, matched + 1)
    const open = this.#underWay.findIndex(({ sequence }) => sequence > matched)
    const done = this.#underWay.splice(0, open === -1 ? this.#underWay.length : open)
    for (const { bytes } of done) this.#underWayBytes -= bytes
    this.#mode = { kind: 'stream' }
  }

  /** It could not put entries into its log, which agrees with ours up to `committed`. */
  behind(committed: number): void {
    this.#silentTicks = 0
    const from = Math.max(this.#matched, committed)
    // Every message after a lost one is answered like this: one of the answers is enough.
    const isAsked = this.#mode.kind === 'probe' && this.#mode.isSent && this.#next === from + 1
    if (!isAsked) this.#probeFrom(from + 1)
  }

  /** It answered something else. */
  heard(): void {
    this.#silentTicks = 0
  }

  /** Time passes: what was not answered for long is sent again. */
  tick(last: number): void {
    this.#silentTicks += 1
    const waits = this.#mode.kind === 'probe' || this.#matched < Math.min(this.#next - 1, last)
    this.#waitedTicks = waits ? this.#waitedTicks + 1 : 0
    if (this.#waitedTicks >= this.#limits.resendTicks) this.#probeAgain()
  }

  #probeAgain(): void {
    if (this.#mode.kind === 'probe') this.#mode = { kind: 'probe', isSent: false }
    else this.#probeFrom(this.#matched + 1)
    this.#waitedTicks = 0
  }

  #probeFrom(next: number): void {
    this.#next = next
    this.#underWay = []
    this.#underWayBytes = 0
    this.#waitedTicks = 0
    this.#mode = { kind: 'probe', isSent: false }
  }

  #isFull(): boolean {
    const entries = this.#next - 1 - this.#matched
    const { windowBytes, windowEntries } = this.#limits
    return this.#underWayBytes >= windowBytes || entries >= windowEntries
  }

  /** A probe leaves `next` where it is, so that it can be repeated. */
  #takeProbe(tail: LogTail): NextMessage | undefined {
    if (this.#mode.kind !== 'probe' || this.#mode.isSent) return undefined
    this.#mode = { kind: 'probe', isSent: true }
    return this.#message(tail)
  }

  #takeEntries(tail: LogTail): NextMessage {
    const message = this.#message(tail)
    if (message.kind === 'install') return message
    const bytes = message.entries.reduce((sum, { batch }) => sum + batch.length, 0)
    const sequence = message.previous.sequence + message.entries.length
    this.#underWay.push({ sequence, bytes })
    this.#underWayBytes += bytes
    this.#next = sequence + 1
    return message
  }

  #message(tail: LogTail): NextMessage {
    const sequence = this.#next - 1
    const epoch = tail.epochAt(sequence)
    if (epoch === undefined) {
      this.#mode = { kind: 'probe', isSent: true }
      return { kind: 'install', base: tail.base }
    }
    const { messageEntries, messageBytes } = this.#limits
    const portion = { entries: messageEntries, bytes: messageBytes }
    const entries = tail.after(sequence, portion)
    return { kind: 'entries', previous: { epoch, sequence }, entries }
  }
}
