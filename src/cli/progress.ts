// How far a long work is, in one line that is drawn over: a bar, what is left, how fast it goes and how long it takes.
import { showDuration } from './amounts.ts'

const BAR_WIDTH = 24

/** Rates over less than this say little. */
const RATE_MIN_MS = 3_000

/** `[######------------------] 25 %`. */
export function showBar(done: number, total: number): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0
  const filled = Math.floor(share * BAR_WIDTH)
  const percent = `${Math.floor(share * 100)}`.padStart(3)
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}] ${percent} %`
}

/** Follows an amount that shrinks, and foretells when nothing will be left of it. */
export class Countdown {
  #first: { left: number; atMs: number } | undefined
  #most = 0

  /** So much is left now. More than ever begins anew: something was added. */
  note(left: number, nowMs: number): void {
    if (this.#first !== undefined && left <= this.#most) return
    this.#most = left
    this.#first = { left, atMs: nowMs }
  }

  /** A bar alone. */
  showBar(left: number, nowMs: number): string {
    this.note(left, nowMs)
    return left === 0 ? showBar(1, 1) : showBar(this.#most - left, this.#most)
  }

  /** A bar, and the time to the end as far as that can be told. */
  show(left: number, nowMs: number): string {
    const bar = this.showBar(left, nowMs)
    if (left === 0) return bar
    const leftMs = this.#leftMs(left, nowMs)
    return leftMs === undefined ? bar : `${bar}, ${showDuration(leftMs)} to go`
  }

  #leftMs(left: number, nowMs: number): number | undefined {
    const { left: most, atMs } = this.#first!
    const elapsedMs = nowMs - atMs
    if (elapsedMs < RATE_MIN_MS || left >= most) return undefined
    return (left * elapsedMs) / (most - left)
  }
}

/** Draws over the line before; nothing where nobody looks. */
export function drawLine(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

/** A line that stays, in the place of what is drawn over. */
export function sayBeside(text: string): void {
  process.stderr.write(`${process.stderr.isTTY ? '\r\u001b[K' : ''}${text}\n`)
}

/** Ends what was drawn. */
export function endDrawing(): void {
  if (process.stderr.isTTY) process.stderr.write('\n')
}
