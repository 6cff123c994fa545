// What benches share: a rate in CPU time, a median, and where lines go.

/** How long to measure, and where lines go. */
export interface MeasureOptions {
  /** CPU time of one measurement; each is done `rounds` times and the median taken. */
  roundMs: number
  rounds: number
  print: (line: string) => void
}

/** Repeats `work` until `forMs` of CPU time are used; 1e9 bytes in a second of it. */
export function rateOf(work: () => void, bytesEach: number, forMs: number): number {
  const start = process.cpuUsage()
  let calls = 0
  let usedUs = 0
  while (usedUs < forMs * 1000) {
    work()
    calls += 1
    const { user, system } = process.cpuUsage(start)
    usedUs = user + system
  }
  return (calls * bytesEach) / (usedUs * 1000)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** To so many digits. */
export function round(value: number, digits = 2): number {
  return Math.round(value * 10 ** digits) / 10 ** digits
}

export function printLine(line: string): void {
  process.stdout.write(`${line}\n`)
}
