// Results side by side: every figure of the last runs in a line of its own, under the words that name its row.
import type { BenchResult } from './results.ts'

/** Figures that name a row rather than measure something. */
const NAMING = new Set(['chunkBytes', 'nodes', 'drives', 'objects', 'clients'])

/** Lines of a table: a figure each, and what it was in each of the results. */
export function compareResults(results: readonly BenchResult[]): string[] {
  const columns = results.map(figuresOf)
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))]
  const heads = ['', ...results.map(({ date }) => date.slice(5, 16))]
  const commits = ['', ...results.map(({ machine }) => String(machine.commit ?? ''))]
  const lines = names.map((name) => [
    name,
    ...columns.map((column) => column.get(name)?.toString() ?? ''),
  ])
  return align([heads, commits, ...lines])
}

/** Figures by name: the bench, the words of the row, and what is measured. */
export function figuresOf(result: BenchResult): Map<string, number> {
  const figures = new Map<string, number>()
  for (const [bench, rows] of Object.entries(result)) {
    if (!Array.isArray(rows)) continue
    for (const row of rows as Record<string, unknown>[]) {
      const entries = Object.entries(row)
      const words = entries.filter(([name, value]) => typeof value === 'string' || NAMING.has(name))
      const title = [bench, ...words.map(([, value]) => String(value))].join(' ')
      for (const [name, value] of entries) {
        if (typeof value === 'number' && !NAMING.has(name)) figures.set(`${title}: ${name}`, value)
      }
    }
  }
  return figures
}

function align(lines: readonly string[][]): string[] {
  const widths = lines[0]!.map((_, column) =>
    Math.max(...lines.map((line) => line[column]!.length)),
  )
  return lines.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  '),
  )
}
