// The files that tidy looks at, as data: every check below is a pure function over them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** A file of the repository: its path from the root, with slashes, and what is in it. */
export interface TextFile {
  path: string
  text: string
}

const ROOT_FILES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']
const DIRECTORIES = ['src', 'test', 'bench', 'bin', 'scripts', 'docs', 'deploy', '.ci']

/** The root of the checkout, wherever the compiled test lies in it. */
export function findRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package-lock.json'))) directory = dirname(directory)
  return directory
}

/** Everything that is written by hand. */
export function readTree(root: string): TextFile[] {
  const paths = [...ROOT_FILES, ...DIRECTORIES.flatMap((name) => listFiles(root, name))]
  return paths
    .filter((path) => existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

function listFiles(root: string, directory: string): string[] {
  if (!existsSync(join(root, directory))) return []
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = `${directory}/${entry.name}`
    if (entry.name === '__pycache__' || entry.name === 'results') return []
    return entry.isDirectory() ? listFiles(root, path) : [path]
  })
}

/** The TypeScript files under `directory`. */
export function sourcesIn(files: readonly TextFile[], directory: string): TextFile[] {
  return files.filter(({ path }) => path.startsWith(`${directory}/`) && path.endsWith('.ts'))
}

/** What runs before anything is built, and so is not TypeScript. */
export function scriptsIn(files: readonly TextFile[]): TextFile[] {
  return files.filter(({ path }) => path.startsWith('scripts/') && path.endsWith('.mjs'))
}

const parsed = new WeakMap<TextFile, ts.SourceFile>()

/** The syntax tree of a file. */
export function parse(file: TextFile): ts.SourceFile {
  const known = parsed.get(file)
  if (known !== undefined) return known
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true)
  parsed.set(file, tree)
  return tree
}

/** Calls `visit` for every node of a tree, parents first. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}

/** Whether a statement says `export` of what it declares. */
export function isExported(statement: ts.Statement): boolean {
  if (!ts.canHaveModifiers(statement)) return false
  const modifiers = ts.getModifiers(statement) ?? []
  return modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
}

/** `src/a.ts:12`, for people and editors. */
export function place(file: TextFile, node: ts.Node): string {
  const { line } = parse(file).getLineAndCharacterOfPosition(node.getStart())
  return `${file.path}:${line + 1}`
}
