// Idle exports: what a source gives and no other file takes is its own business.
import ts from 'typescript'
import { importsOf } from './imports.ts'
import { isExported, parse, place, sourcesIn, type TextFile, walk } from './sources.ts'

/**
 * Functions, classes and constants that src/ exports and no file names that imports theirs. Types are left out: what is inferred
 * may need them.
 */
export function checkExports(files: readonly TextFile[]): string[] {
  const taken = namesByTarget(['src', 'test', 'bench'].flatMap((name) => sourcesIn(files, name)))
  return sourcesIn(files, 'src').flatMap((file) =>
    parse(file)
      .statements.filter(isExported)
      .flatMap((statement) => namesOf(statement).map((name) => ({ name, statement })))
      .filter(({ name }) => !taken.get(file.path)?.has(name))
      .map(({ name, statement }) => `${place(file, statement)}: nobody imports ${name}`),
  )
}

/** For each file that is imported, every name in those that import it: a module may be taken as a whole. */
function namesByTarget(users: readonly TextFile[]): Map<string, Set<string>> {
  const byTarget = new Map<string, Set<string>>()
  for (const file of users) {
    const names = namesIn(file)
    for (const { target } of importsOf(file))
      byTarget.set(target, new Set([...(byTarget.get(target) ?? []), ...names]))
  }
  return byTarget
}

function namesIn(file: TextFile): Set<string> {
  const names = new Set<string>()
  walk(parse(file), (node) => {
    if (ts.isIdentifier(node)) names.add(node.text)
  })
  return names
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText())
  const isNamed = ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)
  return isNamed && statement.name !== undefined ? [statement.name.text] : []
}
