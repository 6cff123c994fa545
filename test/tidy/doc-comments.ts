// Doc comments: whoever imports a name is told what it does without opening its body.
import ts from 'typescript'
import { isExported, parse, place, sourcesIn, type TextFile } from './sources.ts'

/** Exports of src/ that have no doc comment of their own. A list of names (`export { a }`) says nothing that its source does not. */
export function checkDocComments(files: readonly TextFile[]): string[] {
  return sourcesIn(files, 'src').flatMap((file) =>
    parse(file)
      .statements.filter((statement) => isExported(statement) && !hasDocComment(statement))
      .map((statement) => `${place(file, statement)}: ${nameOf(statement)} has no doc comment`),
  )
}

/** A comment apart from it, a blank line between them, belongs to the file. */
function hasDocComment(statement: ts.Statement): boolean {
  const text = statement.getSourceFile().text
  const ranges = ts.getLeadingCommentRanges(text, statement.getFullStart()) ?? []
  const last = ranges.at(-1)
  return last !== undefined && text.startsWith('/**', last.pos) && !isApart(text, last.end)
}

function isApart(text: string, end: number): boolean {
  return /^[ \t]*\r?\n[ \t]*\r?\n/.test(text.slice(end))
}

function nameOf(statement: ts.Statement): string {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText()).join(', ')
  return (statement as ts.DeclarationStatement).name?.getText() ?? 'an export'
}
