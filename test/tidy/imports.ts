// What a file imports, read from its syntax tree: static, type-only, re-exported, dynamic, and files named by URL.
import { posix } from 'node:path'
import ts from 'typescript'
import { parse, place, type TextFile, walk } from './sources.ts'

/** One import. `target` is a path from the root when it is relative, else the name of a module. */
export interface Import {
  target: string
  relative: boolean
  typeOnly: boolean
  /** Where it stands, for people. */
  place: string
}

/** All imports of a file, in order. */
export function importsOf(file: TextFile): Import[] {
  const found: Import[] = []
  walk(parse(file), (node) => {
    const specifier = specifierOf(node)
    if (specifier === undefined) return
    const relative = specifier.startsWith('.')
    const target = relative ? resolve(file.path, specifier) : specifier
    found.push({ target, relative, typeOnly: isTypeOnly(node), place: place(file, node) })
  })
  return found
}

function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node))
    return text(node.moduleSpecifier)
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return text(node.argument.literal)
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return text(node.arguments[0])
  }
  if (isFileUrl(node)) return text(node.arguments?.[0])
  return undefined
}

/** `new URL('./worker.js', import.meta.url)`: how a worker names its file. */
function isFileUrl(node: ts.Node): node is ts.NewExpression {
  return (
    ts.isNewExpression(node) &&
    node.expression.getText() === 'URL' &&
    node.arguments?.[1]?.getText() === 'import.meta.url'
  )
}

function text(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined
}

/** `import type`, `export type`, `import('…').Type`, or braces in which every name says `type`. */
function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true
  if (ts.isExportDeclaration(node)) return node.isTypeOnly || areAllTypes(node.exportClause)
  if (!ts.isImportDeclaration(node) || node.importClause === undefined) return false
  const { phaseModifier, name, namedBindings } = node.importClause
  if (phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  return name === undefined && areAllTypes(namedBindings)
}

function areAllTypes(names: ts.NamedImportBindings | ts.NamedExportBindings | undefined): boolean {
  if (names === undefined || !(ts.isNamedImports(names) || ts.isNamedExports(names))) return false
  return names.elements.length > 0 && names.elements.every((element) => element.isTypeOnly)
}

/** The source that a relative import names; output names (`.js`) are mapped back to their source. */
function resolve(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts')
}
