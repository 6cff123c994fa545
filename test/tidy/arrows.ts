// The table of arrows (docs/architecture.md): which room may import which. Every other arrow is a mistake.
import { type Import, importsOf } from './imports.ts'
import { sourcesIn, type TextFile } from './sources.ts'

/** A room is a directory of src/ or a file right in it. What it may import: rooms, or single files of rooms. */
export const ARROWS: Record<string, readonly string[]> = {
  kit: [],
  erasure: ['kit'],
  digest: ['kit'],
  encryption: ['kit'],
  guard: ['kit'],
  workers: ['guard', 'kit'],
  metadata: ['kit', 'digest'],
  placement: ['kit', 'metadata', 'digest'],
  'storage-node': ['kit', 'metadata', 'placement', 'erasure', 'digest'],
  objects: [
    ...['kit', 'metadata', 'placement', 'erasure', 'digest', 'encryption'],
    'storage-node/contract.ts',
  ],
  gateway: ['kit', 'objects/object-store.ts', 'digest'],
  'store-link': [...['kit', 'objects', 'placement', 'workers', 'exit.ts', 'gateway/admin-api.ts']],
  'worker-member.ts': ['config.ts', 'digest', 'kit', 'serve-s3.ts', 'store-link', 'workers'],
  'version.ts': [],
  'exit.ts': [],
  'config-settings.ts': ['kit'],
  'config.ts': ['config-settings.ts', 'kit'],
  'config-etcd.ts': ['config-settings.ts'],
  'config-cluster.ts': ['config-etcd.ts', 'config-settings.ts', 'config.ts', 'kit'],
  embedded: [
    ...['config.ts', 'exit.ts', 'kit', 'digest', 'encryption', 'erasure', 'metadata'],
    ...['placement', 'storage-node', 'objects', 'gateway/admin-api.ts'],
  ],
  cluster: [
    ...['config.ts', 'config-cluster.ts', 'config-etcd.ts', 'exit.ts', 'serve-s3.ts', 'embedded'],
    ...['kit', 'digest', 'encryption', 'erasure', 'metadata', 'placement', 'storage-node'],
    ...['objects', 'gateway'],
  ],
  'serve-s3.ts': ['config.ts', 'exit.ts', 'kit', 'gateway', 'objects/object-store.ts'],
  'member.ts': [
    ...['config.ts', 'embedded', 'serve-s3.ts', 'kit', 'digest', 'objects/metrics.ts'],
    ...['exit.ts', 'store-link', 'gateway/admin-api.ts'],
  ],
  load: ['kit', 'digest', 'gateway/auth/sigv4.ts', 'gateway/auth/times.ts'],
  cli: [
    'load',
    'worker-member.ts',
    ...['member.ts', 'config.ts', 'config-settings.ts', 'config-cluster.ts', 'cluster', 'exit.ts'],
    ...['version.ts', 'encryption', 'guard', 'workers', 'kit'],
    ...['gateway/admin-api.ts', 'gateway/cluster-api.ts'],
    ...['gateway/auth/sigv4.ts', 'gateway/auth/times.ts'],
    'embedded/recover.ts',
  ],
  'main.ts': ['cli', 'exit.ts'],
}

type Arrows = Readonly<Record<string, readonly string[]>>

/** Imports that must be types alone: the seam carries no code. */
const TYPES_ONLY = [{ from: 'objects', target: 'storage-node/contract.ts' }]

// A file right in operations/ is an S3 operation; what several of them share stands in directories of its own.
const OPERATION = /^gateway\/operations\/[^/]+\.ts$/

/** Nobody in these directories of the gateway knows an operation: operations do not use each other, leaves use none. */
const KNOW_NO_OPERATION = /^gateway\/(operations|auth|body|headers|xml)\//

/** Arrows that the table does not have. */
export function checkArrows(files: readonly TextFile[]): string[] {
  return sourcesIn(files, 'src').flatMap((file) =>
    importsOf(file)
      .filter((entry) => entry.relative)
      .flatMap((entry) => complain(file.path, entry)),
  )
}

/** Arrows of the table that nobody uses. */
export function checkIdleArrows(files: readonly TextFile[], arrows: Arrows = ARROWS): string[] {
  const used = new Set(sourcesIn(files, 'src').flatMap(arrowsOf))
  return Object.entries(arrows).flatMap(([room, targets]) =>
    targets
      .filter((target) => !used.has(`${room} → ${target}`))
      .map((target) => `${room} → ${target}: nobody uses this arrow`),
  )
}

/** What a file uses: each target by itself, and its room. */
function arrowsOf(file: TextFile): string[] {
  const room = roomOf(file.path.slice('src/'.length))
  return importsOf(file)
    .filter(({ target }) => target.startsWith('src/'))
    .map(({ target }) => target.slice('src/'.length))
    .flatMap((target) => [`${room} → ${target}`, `${room} → ${roomOf(target)}`])
}

/** What the page says of arrows and the table does not, and the reverse. Everyone may import kit: the page leaves that out. */
export function checkArrowsPage(page: string, arrows: Arrows = ARROWS): string[] {
  const drawn = arrowsOfPage(page)
  const held = Object.entries(arrows).flatMap(([room, targets]) =>
    targets.filter((target) => target !== 'kit').map((target) => `${room} → ${target}`),
  )
  return [
    ...held.filter((arrow) => !drawn.includes(arrow)).map((arrow) => `${arrow}: not on the page`),
    ...drawn.filter((arrow) => !held.includes(arrow)).map((arrow) => `${arrow}: not in the table`),
  ]
}

/** The lines `room → target, target` of the section; one that begins with blanks goes on. What stands in parentheses is for people. */
function arrowsOfPage(page: string): string[] {
  const section = page.split(/^## Arrows$/m)[1]?.split(/^## /m)[0] ?? ''
  const lines = section.replace(/\n +/g, ' ').replace(/ \([^)]*\)/g, '')
  return [...lines.matchAll(/^(\S+) +→ (.+)$/gm)].flatMap(([, room, targets = '']) =>
    targets.split(',').map((target) => `${room} → ${target.trim()}`),
  )
}

function complain(path: string, entry: Import): string[] {
  if (!entry.target.startsWith('src/')) return [`${entry.place}: ${entry.target} is outside src/`]
  const from = path.slice('src/'.length)
  const target = entry.target.slice('src/'.length)
  if (KNOW_NO_OPERATION.test(from) && OPERATION.test(target)) {
    return [`${entry.place}: ${from} must not know ${target}`]
  }
  return complainOfRooms(from, target, entry)
}

function complainOfRooms(from: string, target: string, entry: Import): string[] {
  const room = roomOf(from)
  const allowed = ARROWS[room]
  if (allowed === undefined) return [`${entry.place}: ${room} is not in the table of arrows`]
  if (room === roomOf(target)) return []
  if (!allowed.includes(target) && !allowed.includes(roomOf(target))) {
    return [`${entry.place}: no arrow leads from ${room} to ${target}`]
  }
  const wantsTypes = TYPES_ONLY.some((pair) => pair.from === room && pair.target === target)
  return wantsTypes && !entry.typeOnly ? [`${entry.place}: ${target} gives ${room} types only`] : []
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? path
}
