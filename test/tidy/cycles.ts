// Import cycles: none, not even of types. Two files that need each other are one file or three.
import { importsOf } from './imports.ts'
import { sourcesIn, type TextFile } from './sources.ts'

/** Every cycle that a walk in depth meets, as `a → b → a`. */
export function checkCycles(files: readonly TextFile[]): string[] {
  const graph = new Map(
    [...sourcesIn(files, 'src'), ...sourcesIn(files, 'test'), ...sourcesIn(files, 'bench')].map(
      (file) => [file.path, relativeTargets(file)],
    ),
  )
  const cycles: string[] = []
  const done = new Set<string>()
  for (const path of graph.keys()) visit(path, [])
  return cycles

  function visit(path: string, trail: readonly string[]): void {
    const seenAt = trail.indexOf(path)
    if (seenAt >= 0) cycles.push([...trail.slice(seenAt), path].join(' → '))
    if (seenAt >= 0 || done.has(path)) return
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
}

function relativeTargets(file: TextFile): string[] {
  return importsOf(file)
    .filter((entry) => entry.relative)
    .map((entry) => entry.target)
}
