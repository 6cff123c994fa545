// The world comes in by one door (kit/world.ts): calls to clock, random, disk, timers, environment and console elsewhere.
import ts from 'typescript'
import { importsOf } from './imports.ts'
import { parse, place, sourcesIn, type TextFile, walk } from './sources.ts'

/** What may not be said, where it may, and what to say instead. `calls` match the text of a call or a property. */
interface Ban {
  pattern: RegExp
  instead: string
  door: readonly string[]
}

const WORLD = 'src/kit/world.ts'

const BANNED_CODE: readonly Ban[] = [
  { pattern: /^Date\.now$|^new Date\(\)$/, instead: 'world.clock', door: [WORLD] },
  {
    pattern: /^performance\.now$|^process\.(hrtime|uptime)$/,
    instead: 'world.clock',
    door: [WORLD],
  },
  { pattern: /^set(Timeout|Interval|Immediate)$/, instead: 'world.clock', door: [WORLD] },
  { pattern: /^AbortSignal\.timeout$/, instead: 'world.clock', door: [WORLD] },
  { pattern: /^Math\.random$/, instead: 'world.random', door: [WORLD] },
  {
    pattern: /^(crypto\.)?random(UUID|Bytes|Int|FillSync)$/,
    instead: 'world.random',
    door: [WORLD],
  },
  { pattern: /^(crypto\.)?getRandomValues$/, instead: 'world.random', door: [WORLD] },
  { pattern: /^fetch$/, instead: 'world.http', door: [WORLD] },
  { pattern: /^process\.env$/, instead: 'config.ts', door: ['src/config.ts'] },
  { pattern: /^console\.\w+$/, instead: 'kit/log.ts', door: [] },
]

const BANNED_MODULES: readonly Ban[] = [
  {
    pattern: /^(node:)?fs(\/promises)?$/,
    instead: 'world.disk',
    door: [
      WORLD,
      ...['src/kit/file-bytes.ts', 'src/kit/look-now.ts', 'src/kit/cores.ts'],
      'src/kit/gathered-lines.ts',
      'src/kit/threaded-socket.ts',
    ],
  },
  { pattern: /^(node:)?timers(\/promises)?$/, instead: 'world.clock', door: [WORLD] },
  {
    pattern: /^(node:)?child_process$/,
    instead: 'nothing: a server starts no processes, only its guard and the bench do',
    door: ['src/guard/server-process.ts', 'src/load/processes.ts'],
  },
  {
    pattern: /^(node:)?cluster$/,
    instead: 'workers/',
    door: ['src/workers/worker-processes.ts'],
  },
  {
    pattern: /^node:crypto$/,
    instead: 'digest/',
    door: [WORLD, 'src/digest/', 'src/encryption/', 'src/gateway/auth/'],
  },
]

/** A file that may do what no other may, and why. */
export interface Exception {
  path: string
  says: string
  reason: string
}

/** Calls and imports that go round the door, but for `exceptions`; and exceptions that nobody needs any more. */
export function checkDoors(
  files: readonly TextFile[],
  exceptions: readonly Exception[] = [],
): string[] {
  const needed = new Set<Exception>()
  const complaints = sourcesIn(files, 'src').flatMap((file) =>
    [...saidIn(file, BANNED_CODE, codeOf), ...saidIn(file, BANNED_MODULES, modulesOf)]
      .filter(({ says }) => !isExcepted(file.path, says))
      .map(({ at, says, instead }) => `${at}: ${says} belongs behind ${instead}`),
  )
  const idle = exceptions.filter((exception) => !needed.has(exception))
  return [
    ...complaints,
    ...idle.map(({ path, says }) => `${path}: no exception for ${says} needed`),
  ]

  function isExcepted(path: string, says: string): boolean {
    const found = exceptions.find((exception) => exception.path === path && exception.says === says)
    if (found !== undefined) needed.add(found)
    return found !== undefined
  }
}

interface Said {
  at: string
  says: string
  instead: string
}

function saidIn(
  file: TextFile,
  bans: readonly Ban[],
  read: (file: TextFile) => { at: string; says: string }[],
): Said[] {
  return read(file).flatMap(({ at, says }) => {
    const ban = bans.find(({ pattern }) => pattern.test(says))
    if (ban === undefined || ban.door.some((door) => file.path.startsWith(door))) return []
    return [{ at, says, instead: ban.instead }]
  })
}

function modulesOf(file: TextFile): { at: string; says: string }[] {
  return importsOf(file)
    .filter((entry) => !entry.relative && !entry.typeOnly)
    .map((entry) => ({ at: entry.place, says: entry.target }))
}

/** Properties as `a.b`, plain calls as `f`, and `new Date()`, which asks the clock when it has no argument. */
function codeOf(file: TextFile): { at: string; says: string }[] {
  const found: { at: string; says: string }[] = []
  walk(parse(file), (node) => {
    if (ts.isPropertyAccessExpression(node))
      found.push({ at: place(file, node), says: node.getText() })
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
      found.push({ at: place(file, node), says: node.expression.text })
    }
    if (ts.isNewExpression(node) && node.arguments?.length === 0) {
      found.push({ at: place(file, node), says: node.getText() })
    }
  })
  return found
}
