// The style guide, executable: arrows, cycles, doors, dead files, idle exports, words, comments, pages, pitfalls, packages.
// Each check is first shown a small sample that it must refuse, then the repository.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SERVE_OPTIONS } from '../src/config.ts'
import {
  CLUSTER_INIT_OPTIONS,
  CLUSTER_RECOVER_OPTIONS,
  CLUSTER_RESTORE_OPTIONS,
  GATEWAY_OPTIONS,
  NODE_OPTIONS,
} from '../src/config-cluster.ts'
import { checkArrows, checkArrowsPage, checkIdleArrows } from './tidy/arrows.ts'
import { checkCycles } from './tidy/cycles.ts'
import { checkDocComments } from './tidy/doc-comments.ts'
import { checkDoors, type Exception } from './tidy/doors.ts'
import { checkExports } from './tidy/exports.ts'
import { listLong } from './tidy/lengths.ts'
import { checkMetrics } from './tidy/metrics.ts'
import { checkOptions } from './tidy/options.ts'
import { checkPackages, checkReasons, type Manifest } from './tidy/packages.ts'
import { checkLinks, checkMentions, checkPacked, checkPaths, checkTitles } from './tidy/pages.ts'
import { checkPitfalls } from './tidy/pitfalls.ts'
import { checkReach } from './tidy/reach.ts'
import { findRoot, readTree, sourcesIn, type TextFile } from './tidy/sources.ts'
import { checkNames, checkPurpose, checkWords, refusedWords } from './tidy/words.ts'

/** Who may go round the one door, and why. Only ever shorter. */
const EXCEPTIONS: readonly Exception[] = []

/** Rooms of the cluster that are tested by themselves before a command uses them. Only ever shorter once one does. */
const AWAITED: readonly string[] = []

const root = findRoot()
const files = readTree(root)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const exists = (path: string): boolean => existsSync(join(root, path))

/** Says every complaint by itself: a diff of lists is hard to read. */
function isTidy(t: Test, complaints: readonly string[]): void {
  for (const complaint of complaints) t.fail(complaint, { stack: '', at: null })
  if (complaints.length === 0) t.pass('the repository is tidy')
}

function sample(texts: Record<string, string>): TextFile[] {
  return Object.entries(texts).map(([path, text]) => ({ path, text }))
}

t.test('arrows', async (t) => {
  const refused = [
    { 'src/kit/a.ts': `import { b } from '../digest/b.ts'` },
    { 'src/gateway/a.ts': `import type { B } from '../storage-node/contract.ts'` },
    { 'src/gateway/a.ts': `export { b } from '../objects/write-object.ts'` },
    { 'src/objects/a.ts': `import { b } from '../storage-node/contract.ts'` },
    { 'src/objects/a.ts': `import type { B } from '../storage-node/shard-store.ts'` },
    { 'src/metadata/a.ts': `const b = await import('../placement/b.ts')` },
    { 'src/erasure/a.ts': `let b: import('../metadata/b.ts').B` },
    { 'src/objects/a.ts': `import { config } from '../config.ts'` },
    { 'src/attic/a.ts': `import { b } from '../kit/b.ts'` },
    { 'src/kit/a.ts': `import { b } from '../../test/b.ts'` },
    { 'src/gateway/operations/a.ts': `import { b } from './b.ts'` },
    { 'src/gateway/xml/a.ts': `import { b } from '../operations/b.ts'` },
  ]
  for (const texts of refused) {
    t.equal(checkArrows(sample(texts)).length, 1, `refuses ${Object.values(texts)}`)
  }
  const shared = { 'src/gateway/operations/a.ts': `import { b } from './steps/b.ts'` }
  t.same(checkArrows(sample(shared)), [], 'takes what operations share')
  const allowed = `import type { B } from '../storage-node/contract.ts'`
  t.same(checkArrows(sample({ 'src/objects/a.ts': allowed })), [], `takes ${allowed}`)
  isTidy(t, checkArrows(files))

  const few = { a: ['kit', 'b', 'c/d.ts'], b: ['kit'] }
  const used = { 'src/a/x.ts': `import '../b/y.ts'\nimport '../kit/z.ts'\nimport '../c/e.ts'` }
  t.same(checkIdleArrows(sample(used), few), [
    'a → c/d.ts: nobody uses this arrow',
    'b → kit: nobody uses this arrow',
  ])
  t.same(checkArrowsPage('## Arrows\n\na → b (types only),\n    c/d.ts\n', few), [])
  t.same(checkArrowsPage('## Arrows\n\na → b, c\n', few), [
    'a → c/d.ts: not on the page',
    'a → c: not in the table',
  ])
  isTidy(t, checkIdleArrows(files))
  const page = files.find(({ path }) => path === 'docs/architecture.md')?.text ?? ''
  isTidy(t, checkArrowsPage(page))
})

t.test('cycles', async (t) => {
  const ring = {
    'src/kit/a.ts': `import { b } from './b.ts'`,
    'src/kit/b.ts': `export type { C } from './c.ts'`,
    'src/kit/c.ts': `import type { A } from './a.ts'`,
  }
  t.same(checkCycles(sample(ring)), ['src/kit/a.ts → src/kit/b.ts → src/kit/c.ts → src/kit/a.ts'])
  isTidy(t, checkCycles(files))
})

t.test('doors', async (t) => {
  const refused = [
    'Date.now()',
    'new Date()',
    'const now = performance.now',
    'setTimeout(f, 1)',
    'Math.random()',
    'process.env.HOME',
    'console.log(1)',
    `import { readFile } from 'node:fs/promises'`,
    `import { setTimeout as sleep } from 'node:timers/promises'`,
    `import { createHash } from 'node:crypto'`,
  ]
  for (const text of refused) {
    t.equal(checkDoors(sample({ 'src/objects/a.ts': text })).length, 1, `refuses ${text}`)
  }
  const allowed = '// Date.now() in a comment\nnew Date(0)\nconst text = "console.log(1)"'
  t.same(checkDoors(sample({ 'src/objects/a.ts': allowed })), [], 'takes words and fixed dates')
  const idle = { path: 'src/a.ts', says: 'Date.now', reason: 'none' }
  t.equal(checkDoors([], [idle]).length, 1, 'refuses an exception that nobody needs')
  isTidy(t, checkDoors(files, EXCEPTIONS))
})

t.test('reach', async (t) => {
  const island = {
    'src/main.ts': `import './kit/a.ts'\nnew Worker(new URL('./kit/w.js', import.meta.url))`,
    'src/kit/a.ts': '',
    'src/kit/w.ts': '',
    'src/kit/dead.ts': `import './a.ts'`,
    'test/dead.ts': '',
  }
  t.same(checkReach(sample(island)), [
    'src/kit/dead.ts: src/main.ts does not reach it',
    'test/dead.ts: no test imports it',
  ])
  const awaited = checkReach(sample(island), ['src/kit/dead.ts', 'src/kit/a.ts', 'src/gone.ts'])
  t.same(awaited.slice(0, 2), [
    'src/kit/a.ts: nobody waits for it any more',
    'src/gone.ts: nobody waits for it any more',
  ])
  isTidy(t, checkReach(files, AWAITED))
})

t.test('exports', async (t) => {
  const given = {
    'src/a.ts':
      'export const a = 1, b = 2\nexport function c() {}\nexport class D {}\nexport type E = 1',
    'src/b.ts': `import { a } from './a.ts'\nexport { c } from './a.ts'`,
    'src/c.ts': 'const b = D',
    'test/a.test.ts': `import * as all from '../src/a.ts'\nall.D`,
  }
  t.same(checkExports(sample(given)), ['src/a.ts:1: nobody imports b'])
  isTidy(t, checkExports(files))
})

t.test('words', async (t) => {
  t.equal(checkPurpose(sample({ 'src/a.ts': 'export const a = 1' })).length, 1)
  t.equal(checkPurpose(sample({ 'bin/a.cjs': '#!/usr/bin/env node\nrun()' })).length, 1)
  t.equal(checkNames(sample({ 'src/kit/utils.ts': '', 'src/kit/index.ts': '' })).length, 2)
  t.same(refusedWords('## Refused\n\n| refused | say |\n|---|---|\n| piece, lump | shard |\n'), [
    'piece',
    'lump',
  ])
  const spoken = {
    'src/a.ts': 'let oldPieceCount = 1',
    'docs/a.md': 'A piece.',
    'docs/b.md': 'master',
  }
  t.equal(checkWords(sample(spoken), ['piece']).length, 2)
  t.equal(checkWords(sample(spoken), []).length, 1, 'refuses a glossary without refused words')

  isTidy(t, checkPurpose(files))
  isTidy(t, checkNames(files))
  const glossary = files.find(({ path }) => path === 'docs/glossary.md')?.text ?? ''
  isTidy(t, checkWords(files, refusedWords(glossary)))
})

t.test('pages', async (t) => {
  const none = (): boolean => false
  t.equal(checkTitles(sample({ 'docs/a.md': '# A\n\n# B\n' })).length, 1)
  t.equal(checkTitles(sample({ 'docs/a.md': '\n# A\n\n```\n# not a title\n```\n' })).length, 1)
  t.equal(checkLinks(sample({ 'docs/a.md': 'see [b](b.md)' }), none).length, 1)
  t.equal(checkLinks(sample({ 'docs/a.md': '# A\n[b](#c)' }), () => true).length, 1)
  t.equal(checkLinks(sample({ 'docs/a.md': '[b](https://example.com)' }), none).length, 0)
  t.equal(checkPaths(sample({ 'docs/a.md': 'see `src/a.ts` and `src/*.ts`' }), none).length, 1)

  const packed = { 'docs/a.md': '[b](../deploy/b) [c](c.md#d)', 'test/a.md': '[b](b.md)' }
  t.equal(checkPacked(sample(packed), ['docs']).length, 1)
  t.equal(checkPacked(sample(packed), ['docs', 'deploy']).length, 0)
  for (const [path, text] of [
    ['src/a.ts', '// Layout: docs/b.md.'],
    ['src/a.ts', '/** As b.md 7.3 says. */'],
    ['src/a.ts', `throw new Error('see docs/b.md')`],
    ['test/a.test.ts', `f() //${' '}b.md`],
    ['docs/a.md', '# A\nas b.md 7.3 says'],
    ['deploy/a.service', 'Documentation=file:/usr/lib/node_modules/kintsugi/docs/b.md'],
  ] as const) {
    t.equal(checkMentions(sample({ [path]: text }), none).length, 1, `refuses ${text}`)
  }
  const taken = {
    'src/a.ts': '// LevelDB: doc/b.md, https://example.com/b.md',
    'test/a.test.ts': `const page = 'b.md'`,
    'docs/formats/a.md': 'see b.md',
  }
  const beside = (path: string): boolean => path === 'docs/formats/b.md'
  t.same(checkMentions(sample(taken), beside), [], 'takes pages of others and those beside')

  isTidy(t, checkTitles(files))
  isTidy(t, checkLinks(files, exists))
  isTidy(t, checkPacked(files, manifest.files))
  isTidy(t, checkPaths(files, exists))
  isTidy(t, checkMentions(files, exists))
})

t.test('pitfalls', async (t) => {
  // Numbers are put in, or this file would cite them.
  const cite = (...numbers: string[]): string => `// Pitfalls ${numbers.join(', ')}.`
  const page = '| 1 | a | b |\n| 2b | a | b |\n| 3 | a | b |\n| 3 | a | b |\n'
  const cited = {
    'docs/pitfalls.md': page,
    'src/a.ts': cite('1', '2b'),
    'src/b.ts': cite('1 to 4', '2b'),
    'test/c.ts': `t.test('pitfall ${'1'}')\n${cite('3 and 5')}`,
  }
  t.same(checkPitfalls(sample(cited)), [
    'docs/pitfalls.md: pitfall 3 is there twice',
    'src/b.ts: pitfall 2 is not in docs/pitfalls.md',
    'src/b.ts: pitfall 4 is not in docs/pitfalls.md',
    'test/c.ts: pitfall 5 is not in docs/pitfalls.md',
  ])
  isTidy(t, checkPitfalls(files))
})

t.test('options', async (t) => {
  const page = '| `--port` | 9000 | |\n| `--tls-cert`, `--old` | | |'
  t.same(
    checkOptions(page, [{ name: 'port', fallback: '9000' }, { name: 'tls-cert' }, { name: 'new' }]),
    ['--new: not in the table of README.md', '--old: README.md explains what does not exist'],
  )
  t.same(checkOptions('| `--port` | `9001` | |', [{ name: 'port', fallback: '9000' }]), [
    '--port: README.md does not say the default 9000',
  ])
  const readme = files.find(({ path }) => path === 'README.md')?.text ?? ''
  isTidy(t, checkOptions(readme, SERVE_OPTIONS))
  const guide = files.find(({ path }) => path === 'docs/guides/cluster.md')?.text ?? ''
  const ofServe = new Set(SERVE_OPTIONS.map(({ name }) => name))
  const ofGateways = GATEWAY_OPTIONS.filter(({ name }) => !ofServe.has(name))
  const ofCluster = [
    ...[...CLUSTER_INIT_OPTIONS, ...CLUSTER_RESTORE_OPTIONS, ...CLUSTER_RECOVER_OPTIONS],
  ]
  isTidy(t, checkOptions(guide, [...ofCluster, ...NODE_OPTIONS, ...ofGateways]))
})

t.test('metrics', async (t) => {
  const texts = {
    'src/a.ts': `const name = 'kintsugi_new'\nconst kept = 'kintsugi_kept_total'`,
    'docs/a.md': 'see `kintsugi_kept_total{kind}`, `/_kintsugi/v1/status` and `kintsugi_old`',
  }
  t.same(checkMetrics(sample(texts)), [
    'src/a.ts: kintsugi_new: no page in docs/ says what it is',
    'docs/a.md: kintsugi_old: src/ has no such metric',
  ])
  isTidy(t, checkMetrics(files))
})

t.test('packages', async (t) => {
  const declared = { dependencies: { a: '1', idle: '1' }, devDependencies: { b: '1', tool: '1' } }
  const texts = {
    'src/x.ts': `import a from 'a/deep'\nimport b from 'b'\nimport 'node:fs'`,
    'src/y.ts': `import type { B } from 'b'`,
    'test/x.test.ts': `import c from '@scope/c/deep'`,
    'scripts/z.mjs': `import d from 'd'`,
  }
  t.same(checkPackages(sample(texts), declared), [
    'src/x.ts:2: b is not declared',
    'test/x.test.ts:1: @scope/c is not declared',
    'scripts/z.mjs:1: d is not declared',
    'idle: no source imports it',
    'idle: nothing imports it',
    'tool: nothing imports it',
  ])
  t.same(
    checkReasons('| `a` | why |\n| `z` | why |', {
      dependencies: { a: '1', b: '1' },
      devDependencies: {},
    }),
    ['b: no reason given', 'z: not declared'],
  )
  isTidy(t, checkPackages(files, manifest))
  isTidy(t, checkReasons(readFileSync(join(root, 'docs/dependencies.md'), 'utf8'), manifest))
})

t.test('doc comments', async (t) => {
  const refused = [
    'export function a() {}',
    '// what it does\nexport const a = 1',
    '/** the file */\n\nexport interface A {}',
    '/** of b */\nconst b = 1\nexport class A {}',
  ]
  for (const text of refused)
    t.equal(checkDocComments(sample({ 'src/a.ts': text })).length, 1, `refuses ${text}`)
  const taken = ['/** What it does. */\nexport function a() {}', 'const a = 1\nexport { a }']
  for (const text of taken) t.same(checkDocComments(sample({ 'src/a.ts': text })), [])
  isTidy(t, checkDocComments(files))
})

t.test('lengths are printed', async (t) => {
  const long = `// Why\nfunction f() {\n${'g()\n'.repeat(50)}}\n${'h()\n'.repeat(300)}`
  t.same(listLong(sample({ 'src/a.ts': long })).length, 2)
  for (const line of listLong(sourcesIn(files, 'src'))) t.comment(line)
})
