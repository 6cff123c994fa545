// Dead files: sources that the executable does not reach, and files of test/ and bench/ that nobody runs or imports.
import { importsOf } from './imports.ts'
import { sourcesIn, type TextFile } from './sources.ts'

const EXECUTABLE = 'src/main.ts'
// Run by name: by tap, by .ci/run, by `npm run nightly`, by `npm run bench`, by `npm run sim`, `npm run sim-cluster` and `npm run faults`.
const RUN_BY_NAME =
  /(\.test|\.process|\.crash|\.sim|\.cluster|\.nightly|\.bench)\.ts$|^bench\/run\.ts$|^test\/sim\/((replication|cluster)\/)?run\.ts$|^test\/cluster\/faults\/(main|run|creators)\.ts$/

/** Files that could be deleted and nothing would change. `awaited`: built and tested before the executable uses them. */
export function checkReach(files: readonly TextFile[], awaited: readonly string[] = []): string[] {
  const sources = sourcesIn(files, 'src')
  const others = [...sourcesIn(files, 'test'), ...sourcesIn(files, 'bench')]
  const wired = reach(sources, [EXECUTABLE])
  const reached = reach(sources, [EXECUTABLE, ...awaited])
  const run = others.map(({ path }) => path).filter((path) => RUN_BY_NAME.test(path))
  const used = reach(others, run)
  return [
    ...awaited
      .filter((path) => wired.has(path) || !sources.some((file) => file.path === path))
      .map((path) => `${path}: nobody waits for it any more`),
    ...missing(sources, reached).map((path) => `${path}: ${EXECUTABLE} does not reach it`),
    ...missing(others, used).map((path) => `${path}: no test imports it`),
  ]
}

function reach(files: readonly TextFile[], entries: readonly string[]): Set<string> {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const reached = new Set(entries)
  for (const path of reached) {
    const file = byPath.get(path)
    if (file === undefined) continue
    for (const entry of importsOf(file)) if (entry.relative) reached.add(entry.target)
  }
  return reached
}

function missing(files: readonly TextFile[], reached: ReadonlySet<string>): string[] {
  return files.map(({ path }) => path).filter((path) => !reached.has(path))
}
