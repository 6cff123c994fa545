// Lengths are habits, not law: what is over the house numbers is printed, and is a question in review.
import ts from 'typescript'
import { parse, place, type TextFile, walk } from './sources.ts'

/** House numbers (CONTRIBUTING.md): from here on a file or function is long. */
export const LONG = { fileLines: 300, functionLines: 40 }

/** Files and functions over the house numbers, longest first. */
export function listLong(files: readonly TextFile[]): string[] {
  const long = files.flatMap((file) => [
    ...(lineCount(file.text) > LONG.fileLines
      ? [{ at: file.path, what: 'file', lines: lineCount(file.text) }]
      : []),
    ...longFunctions(file),
  ])
  return long
    .sort((left, right) => right.lines - left.lines)
    .map(({ at, what, lines }) => `${at}: ${what} of ${lines} lines`)
}

function longFunctions(file: TextFile): { at: string; what: string; lines: number }[] {
  const found: { at: string; what: string; lines: number }[] = []
  walk(parse(file), (node) => {
    if (!ts.isFunctionDeclaration(node) && !ts.isMethodDeclaration(node)) return
    const lines = lineCount(node.getText())
    if (lines <= LONG.functionLines) return
    found.push({ at: place(file, node), what: `function ${node.name?.getText()}`, lines })
  })
  return found
}

function lineCount(text: string): number {
  return text.trimEnd().split('\n').length
}
