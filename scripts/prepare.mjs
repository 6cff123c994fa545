// Makes a checkout ready to run: installs packages and builds, each only when needed.
// Runs before `npm start` and `npm test`, so it is plain JavaScript that needs nothing but Node and npm.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = [20, 19]
// npm writes this file at the end of every install that succeeded.
const INSTALLED = 'node_modules/.package-lock.json'
// Ours, written after every build that succeeded: tsc leaves output behind even when it fails.
const BUILT = 'dist/.built'
// Ours too, written after every build of tap.
const TAP_BUILT = 'node_modules/.tap-built'
const SOURCES = ['src', 'test', 'bench', 'tsconfig.json']

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
checkNode()
if (isInstallNeeded()) install()
if (isBuildNeeded()) build()
if (process.argv.includes('--tap') && isTapBuildNeeded()) buildTap()

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return
  stop(`Kintsugi needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}.`)
}

function isInstallNeeded() {
  if (!existsSync(INSTALLED)) return true
  const installed = changedMs(INSTALLED)
  return ['package-lock.json', 'package.json'].some((path) => changedMs(path) > installed)
}

function install() {
  const wanted = existsSync('package-lock.json') ? 'ci' : 'install'
  say(`installing packages (npm ${wanted}) …`)
  // The compiler is a development package: wanted even where NODE_ENV says production.
  npm([wanted, '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])
}

function isBuildNeeded() {
  if (!existsSync(BUILT)) return true
  const built = changedMs(BUILT)
  return changedMs(INSTALLED) > built || SOURCES.some((path) => newestMs(path) > built)
}

function build() {
  say('building (npm run build) …')
  const startedMs = Date.now()
  npm(['run', 'build', '--silent'])
  removeStale('dist')
  writeFileSync(BUILT, '')
  say(`built in ${Math.round((Date.now() - startedMs) / 1000)} s`)
}

function isTapBuildNeeded() {
  return changedMs(INSTALLED) > changedMs(TAP_BUILT)
}

/**
 * tap is installed with all its plugins. It would build itself with those of package.json when it runs first, yet hook
 * the others into every test file of that run: with them all tests take half as long again.
 */
function buildTap() {
  say('building tap (npx tap build) …')
  npm(['exec', '--', 'tap', 'build'])
  writeFileSync(TAP_BUILT, '')
}

/** Latest change of a file, or of anything in a directory: a removed file shows in the time of its directory. */
function newestMs(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 0
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))))
}

/** Output whose source is gone must not be run or tested any more. */
function removeStale(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) removeStale(path)
    else if (isStale(path)) rmSync(path)
  }
}

function isStale(path) {
  const output = /^dist\/(.+)\.js(\.map)?$/.exec(path.replaceAll('\\', '/'))
  return output !== null && !existsSync(`${output[1]}.ts`)
}

function changedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

/** Runs npm, the same one that runs us where it says who it is; stops with its exit code when it fails. */
function npm(args) {
  const own = process.env.npm_execpath
  const isNpm = own !== undefined && basename(own) === 'npm-cli.js'
  const [command, first] = isNpm ? [process.execPath, [own]] : ['npm', []]
  const done = spawnSync(command, [...first, ...args], { stdio: ['ignore', 2, 2] })
  if (done.error) stop(`npm can not be started: ${done.error.message}`)
  if (done.status !== 0) stop(`npm ${args.slice(0, 2).join(' ')} failed, see above.`, done.status)
}

function say(sentence) {
  process.stderr.write(`kintsugi: ${sentence}\n`)
}

function stop(sentence, code) {
  say(sentence)
  process.exit(code ?? 1)
}
