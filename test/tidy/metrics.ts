// Metrics: every one that the code counts has its words in docs/, and these name no other.
import { sourcesIn, type TextFile } from './sources.ts'

const NAME = /(?<![\w/])kintsugi_[a-z\d_]+/g

/** Metrics of src/ that no page names, and those that pages name and src/ does not have. */
export function checkMetrics(files: readonly TextFile[]): string[] {
  const counted = namesIn(sourcesIn(files, 'src'))
  const explained = namesIn(files.filter(({ path }) => /^docs\/.*\.md$/.test(path)))
  return [
    ...complain(counted, explained, 'no page in docs/ says what it is'),
    ...complain(explained, counted, 'src/ has no such metric'),
  ]
}

function complain(
  names: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, string>,
  what: string,
): string[] {
  return [...names]
    .filter(([name]) => !others.has(name))
    .map(([name, path]) => `${path}: ${name}: ${what}`)
}

/** Names, each with one file that has it. */
function namesIn(files: readonly TextFile[]): Map<string, string> {
  return new Map(
    files.flatMap(({ path, text }) =>
      [...text.matchAll(NAME)].map(([name]): [string, string] => [name, path]),
    ),
  )
}
