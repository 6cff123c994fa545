// Words: every file opens by saying why it exists, names say something, and refused words of the glossary stay out.
import { posix } from 'node:path'
import type { TextFile } from './sources.ts'

const CODE = /\.(ts|mjs|cjs|py|sh)$|^\.ci\/run$/
const EMPTY_NAMES = /^(utils?|helpers?|common|misc|manager|index)\.\w+$/
const GLOSSARY = 'docs/glossary.md'
// A purpose shorter than this says nothing.
const PURPOSE_LENGTH_MIN = 20

/** Files of code whose first line (after `#!`) is not a comment that says why they exist. */
export function checkPurpose(files: readonly TextFile[]): string[] {
  return files
    .filter(({ path }) => CODE.test(path))
    .filter(({ text }) => !hasPurpose(text))
    .map(({ path }) => `${path}: the first line does not say why the file exists`)
}

function hasPurpose(text: string): boolean {
  const lines = text.split('\n')
  const first = lines[0]?.startsWith('#!') ? lines[1] : lines[0]
  const comment = /^(?:\/\/|#|"""|\/\*\*?) ?(.*)$/.exec(first ?? '')
  return (comment?.[1]?.length ?? 0) >= PURPOSE_LENGTH_MIN
}

/** Files named after nothing. */
export function checkNames(files: readonly TextFile[]): string[] {
  return files
    .filter(({ path }) => CODE.test(path) && EMPTY_NAMES.test(posix.basename(path)))
    .map(({ path }) => `${path}: the name says nothing`)
}

/** Words that the glossary refuses: the first column of its table under `## Refused`. */
export function refusedWords(glossary: string): string[] {
  const section = glossary.split(/^## Refused$/m)[1]?.split(/^## /m)[0] ?? ''
  const cells = [...section.matchAll(/^\| ([a-z][a-z, -]*) \|/gm)].map((match) => match[1] ?? '')
  return cells.flatMap((cell) => cell.split(', ')).filter((word) => word !== 'refused')
}

/** Refused words, whole or inside camelCase names, in sources and pages. */
export function checkWords(files: readonly TextFile[], refused: readonly string[]): string[] {
  if (refused.length === 0) return [`${GLOSSARY}: no refused words found`]
  const pattern = new RegExp(`(?<![a-z])(${refused.join('|')})s?(?![a-z])`)
  return files
    .filter(({ path }) => path !== GLOSSARY && /^(src|docs)\//.test(path))
    .flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => complain(path, line, index)),
    )

  function complain(path: string, line: string, index: number): string[] {
    const said = pattern.exec(separateWords(line))
    return said === null ? [] : [`${path}:${index + 1}: the glossary refuses "${said[1]}"`]
  }
}

/** `oldPieceCount` → `old piece count`. */
function separateWords(line: string): string {
  return line.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()
}
