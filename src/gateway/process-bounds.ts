// Bounds of what all requests of a process hold together. Processes that serve one port share them: together they have what
// one alone has.
import { Semaphore } from '../kit/semaphore.ts'

/** One bound. */
export interface ProcessBound {
  /** Of a process that serves alone. */
  permits: number
  /** What one request may need: no process has less. */
  permitsMin: number
  /** Who may wait for permits; more are refused. */
  maxWaiting?: number
}

const bounds: { bound: ProcessBound; semaphore: Semaphore }[] = []

/** Made once, by the module whose requests it bounds. */
export function processBound(bound: ProcessBound): Semaphore {
  const { permits, maxWaiting } = bound
  const semaphore = new Semaphore(permits, maxWaiting === undefined ? {} : { maxWaiting })
  bounds.push({ bound, semaphore })
  return semaphore
}

/** Its share of so many, where `count` processes share them. */
export function shareOf(permits: number, { count, least }: { count: number; least: number }) {
  return Math.min(permits, Math.max(least, Math.floor(permits / count)))
}

/** This process is one of so many. Called once, before the first request: what the others have is never free here. */
export function shareProcessBounds(count: number): void {
  for (const { bound, semaphore } of bounds) {
    const { permits, permitsMin: least } = bound
    semaphore.tryAcquire(permits - shareOf(permits, { count, least }))
  }
}
