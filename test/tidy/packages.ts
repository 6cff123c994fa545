// Dependencies: what is imported is declared, what is declared is imported, and each has its line of reasons.
import { isBuiltin } from 'node:module'
import { type Import, importsOf } from './imports.ts'
import { scriptsIn, sourcesIn, type TextFile } from './sources.ts'

/** The parts of package.json that matter here. */
export interface Manifest {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  /** What the package takes in; behind `!` what it leaves out all the same. */
  files: string[]
}

// Run as commands or found by TypeScript, never imported.
const TOOLS = ['@biomejs/biome', '@types/node']

/** What runs imports dependencies only; types, tests, benches and scripts the rest too; nothing is declared in vain. */
export function checkPackages(
  files: readonly TextFile[],
  manifest: Omit<Manifest, 'files'>,
): string[] {
  const sources = sourcesIn(files, 'src').flatMap(importsOf)
  const inSources = packagesOf(sources.filter((entry) => !entry.typeOnly))
  const inTypes = packagesOf(sources.filter((entry) => entry.typeOnly))
  const inTests = packagesOf(
    [...sourcesIn(files, 'test'), ...sourcesIn(files, 'bench'), ...scriptsIn(files)].flatMap(
      importsOf,
    ),
  )
  const runtime = Object.keys(manifest.dependencies)
  const all = [...runtime, ...Object.keys(manifest.devDependencies)]
  const used = new Set([
    ...[inSources, inTypes, inTests].flatMap((found) => [...found.keys()]),
    ...TOOLS,
  ])
  return [
    ...undeclared(inSources, runtime),
    ...undeclared(inTypes, all),
    ...undeclared(inTests, all),
    ...runtime
      .filter((name) => !inSources.has(name))
      .map((name) => `${name}: no source imports it`),
    ...all.filter((name) => !used.has(name)).map((name) => `${name}: nothing imports it`),
  ]
}

/** Declared packages without a line in the page of reasons, and lines without a package. */
export function checkReasons(page: string, manifest: Omit<Manifest, 'files'>): string[] {
  const explained = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? '')
  const declared = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)]
  return [
    ...declared
      .filter((name) => !explained.includes(name))
      .map((name) => `${name}: no reason given`),
    ...explained.filter((name) => !declared.includes(name)).map((name) => `${name}: not declared`),
  ]
}

function undeclared(imported: ReadonlyMap<string, string>, declared: readonly string[]): string[] {
  return [...imported]
    .filter(([name]) => !declared.includes(name))
    .map(([name, place]) => `${place}: ${name} is not declared`)
}

/** Packages by name, each with one place that imports it. */
function packagesOf(imports: readonly Import[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const entry of imports) {
    if (entry.relative || isBuiltin(entry.target)) continue
    const [scope = '', name] = entry.target.split('/')
    found.set(scope.startsWith('@') ? `${scope}/${name}` : scope, entry.place)
  }
  return found
}
