// The history of results: a file for each run in bench/results, and what of it can be compared with another run.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

const RESULTS = fileURLToPath(new URL('../../bench/results/', import.meta.url))

/** One run: where and when, and a list of rows for each bench that ran. */
export interface BenchResult {
  machine: Record<string, unknown>
  date: string
  [bench: string]: unknown
}

/** A result with nothing measured yet. */
export function newResult(): BenchResult {
  return { machine: describeMachine(), date: new Date().toISOString() }
}

/** The name of the file of a result, without its ending. */
export function pathOf({ date }: BenchResult): string {
  return `${RESULTS}${date.replace(/[:.]/g, '-')}`
}

/** Writes it; gives the path. */
export function keepResult(result: BenchResult): string {
  mkdirSync(RESULTS, { recursive: true })
  const path = `${pathOf(result)}.json`
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`)
  return path
}

/** The last so many of all that are kept, oldest first. */
export function lastResults(count: number): BenchResult[] {
  const names = readdirSync(RESULTS).filter((name) => name.endsWith('.json'))
  return names
    .sort()
    .slice(-count)
    .map((name) => JSON.parse(readFileSync(`${RESULTS}${name}`, 'utf8')) as BenchResult)
}

function describeMachine(): Record<string, unknown> {
  const processors = cpus()
  return {
    processor: processors[0]?.model ?? 'unknown',
    processors: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    commit: commitOf(),
  }
}

function commitOf(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
