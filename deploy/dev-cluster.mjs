// Starts etcd, nodes and gateways on one machine as processes of their own, remembers them in DIR/cluster.json, and ends
// them by their process ids. Everything lies under DIR. What is said of it to people: docs/guides/cluster.md.
import { execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import {
  askForNames,
  etcdAccessWords,
  etcdPassword,
  etcdTlsWords,
  makeTls,
  nodeTlsWords,
} from './dev-cluster-tls.mjs'

const KINTSUGI = join(dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'kintsugi.cjs')
const HOST = '127.0.0.1'
// A machine that does much else takes its time.
const ETCD_READY_MS = 120_000
const ETCD_LATE_MS = 120_000
const ETCD_IS_LATE = /etcd.* does not answer/
const END_MS = 15_000
const PORTS = { first: 10_000, last: 32_000 }
// Nobody listens on them yet, and they are somebody's already.
const chosenPorts = new Set()

const USAGE = `deploy/dev-cluster up --dir DIR [--nodes 6] [--gateways 2] [--drives 1] [--code K+M] [--processes 1] [--zones 3] [--tls] [--garbage-grace 900] [--timeout 300] [--json]
deploy/dev-cluster add node|gateway --dir DIR [--json]
deploy/dev-cluster forget ID --dir DIR
deploy/dev-cluster down --dir DIR

up starts what does not run, waits until all of it serves and says how to use it. Everything lies under DIR. What a cluster
is made of is said when it is made: later add node and add gateway make it larger.
down ends the processes; the data stays, and up starts them again. KINTSUGI_ROOT_ACCESS_KEY_ID and
KINTSUGI_ROOT_SECRET_ACCESS_KEY set the root key of a new cluster; without them one is made.
forget ends the process of a node that kintsugi node remove took out, and starts it no more.
--processes says of how many processes a gateway is. --zones spreads the nodes over so many zones. --tls makes certificates: nodes and gateways speak TLS with each other and with
etcd, which asks for a name and a password as well. S3 stays plain HTTP.
`

// Of a cluster that is made; later `up` starts what there is.
const FIRST = { nodes: '6', gateways: '2', drives: '1' }

/** Said to people, in one sentence. */
class Refusal extends Error {}

/** What was asked for can not be meant. */
class Misuse extends Refusal {}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Refusal) && !String(error?.code).startsWith('ERR_PARSE_ARGS')) throw error
  process.stderr.write(`dev-cluster: ${error.message}\n`)
  process.exit(error instanceof Refusal && !(error instanceof Misuse) ? 1 : 2)
}

async function main(words) {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      dir: { type: 'string' },
      nodes: { type: 'string' },
      gateways: { type: 'string' },
      drives: { type: 'string' },
      code: { type: 'string' },
      processes: { type: 'string' },
      zones: { type: 'string' },
      tls: { type: 'boolean', default: false },
      'garbage-grace': { type: 'string' },
      timeout: { type: 'string', default: '300' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const [command, kind] = positionals
  if (values.help || command === undefined) return process.stdout.write(USAGE)
  if (values.dir === undefined) throw new Misuse('--dir names the directory of the cluster')
  const directory = resolve(values.dir)
  switch (command) {
    case 'up':
      return await up(directory, values)
    case 'add':
      return await add(directory, kind, values)
    case 'forget':
      return await forget(directory, kind)
    case 'down':
      return await down(directory)
    default:
      throw new Misuse(`there is no command ${command}: up, add, forget, down`)
  }
}

async function up(directory, options) {
  const untilMs = Date.now() + count('timeout', options.timeout) * 1000
  const found = readCluster(directory)
  if (found !== undefined) sayUnused(found, options)
  const cluster = found ?? (await makeCluster(directory, { ...FIRST, ...options }))
  await startEtcd(cluster)
  if (cluster.accessKeyId === undefined) await initCluster(cluster, options)
  const members = [...cluster.nodes, ...cluster.gateways]
  await Promise.all(members.map((one) => startMember(cluster, one)))
  write(cluster)
  await serves(cluster, members, untilMs)
  say(cluster, options)
}

async function add(directory, kind, options) {
  const untilMs = Date.now() + count('timeout', options.timeout) * 1000
  const cluster = known(directory)
  let added
  if (kind === 'node') {
    const drives = cluster.nodes[0]?.drives.length ?? 1
    added = await newNode(cluster, drives)
    cluster.nodes.push(added)
    added.token = (
      await kintsugi(['cluster', 'token', ...etcdWords(cluster), '--json'], cluster)
    ).token
    await startNode(cluster, added)
  } else if (kind === 'gateway') {
    added = await newGateway(cluster)
    cluster.gateways.push(added)
    startGateway(cluster, added)
  } else {
    throw new Misuse('add node, or add gateway, says what is added')
  }
  write(cluster)
  await serves(cluster, [added], untilMs)
  const { id, pid, url } = added
  if (options.json) print(JSON.stringify(kind === 'node' ? { id, pid } : { url, pid }))
  else
    print(
      kind === 'node' ? `Node ${id} serves (process ${pid}).` : `${url} serves (process ${pid}).`,
    )
}

async function forget(directory, id) {
  if (id === undefined) throw new Misuse('forget takes the id of a node')
  const cluster = known(directory)
  const node = cluster.nodes.find((one) => one.id === id)
  if (node === undefined) throw new Refusal(`there is no node ${id} in ${directory}`)
  await end(node)
  cluster.nodes = cluster.nodes.filter((one) => one !== node)
  // Its directories stay, and are no other node's.
  cluster.forgotten = (cluster.forgotten ?? 0) + 1
  write(cluster)
}

async function down(directory) {
  const cluster = known(directory)
  await Promise.all([...cluster.gateways, ...cluster.nodes].map((one) => end(one)))
  await end(cluster.etcd)
  write(cluster)
}

// What a cluster is made of: names, ports and directories, chosen once.

async function makeCluster(directory, { nodes, gateways, drives, zones, processes, tls, ...more }) {
  const grace = more['garbage-grace']
  mkdirSync(join(directory, 'log'), { recursive: true })
  const cluster = {
    directory,
    etcd: await newEtcd(tls),
    ...(tls ? { tls: makeTls(directory) } : {}),
    ...(zones === undefined ? {} : { zones: count('zones', zones) }),
    ...(processes === undefined ? {} : { processes: count('processes', processes) }),
    ...(grace === undefined ? {} : { garbageGrace: count('garbage-grace', grace) }),
    nodes: [],
    gateways: [],
  }
  for (let made = 0; made < count('nodes', nodes); made += 1) {
    cluster.nodes.push(await newNode(cluster, count('drives', drives)))
  }
  for (let made = 0; made < count('gateways', gateways); made += 1) {
    cluster.gateways.push(await newGateway(cluster))
  }
  return cluster
}

/** It says how it does on a port of its own: that of its clients asks for certificates. */
async function newEtcd(isTls) {
  const url = `${isTls ? 'https' : 'http'}://${HOST}:${await freePort()}`
  const health = `http://${HOST}:${await freePort()}`
  return { name: 'etcd', url, health, peer: await freePort() }
}

async function newNode({ directory, nodes, zones, forgotten = 0 }, drives) {
  const number = nodes.length + forgotten + 1
  const name = `node-${number}`
  const zone = zones && `zone-${((number - 1) % zones) + 1}`
  const paths = Array.from({ length: drives }, (_, at) => join(directory, name, `drive-${at + 1}`))
  const state = join(directory, name, 'state')
  const ports = { port: await freePort(), adminPort: await freePort() }
  return { name, state, drives: paths, ...(zone ? { zone } : {}), ...ports }
}

async function newGateway({ directory, gateways }) {
  const name = `gateway-${gateways.length + 1}`
  const port = await freePort()
  const url = `http://${HOST}:${port}`
  return { name, state: join(directory, name), url, port, adminPort: await freePort() }
}

async function initCluster(cluster, { code }) {
  const nodes = cluster.nodes.length
  const words = ['cluster', 'init', ...etcdWords(cluster), '--nodes', `${nodes}`, '--json']
  // Two nodes are no cluster that bears the loss of one, but good enough for a look.
  if (nodes < 3) words.push('--allow-unsafe-layout')
  const made = await kintsugi([...words, ...(code === undefined ? [] : ['--code', code])], cluster)
  cluster.nodes.forEach((node, at) => {
    node.token = made.tokens[at]
  })
  cluster.code = code
  cluster.accessKeyId = made.accessKeyId
  cluster.credentials = join(cluster.directory, 'root-credentials')
  const text = `[default]\naws_access_key_id = ${made.accessKeyId}\naws_secret_access_key = ${made.secretAccessKey}\n`
  writeFileSync(cluster.credentials, text, { mode: 0o600 })
  write(cluster)
}

// Processes.

async function startEtcd(cluster) {
  const { directory, etcd, tls } = cluster
  if (isRunning(etcd)) return
  const peer = `http://${HOST}:${etcd.peer}`
  launch(cluster, etcd, 'etcd', [
    ...['--name', 'dev', '--data-dir', join(directory, 'etcd')],
    ...['--listen-client-urls', etcd.url, '--advertise-client-urls', etcd.url],
    ...['--listen-metrics-urls', etcd.health, ...(tls ? etcdTlsWords(tls) : [])],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `dev=${peer}`],
  ])
  await until(Date.now() + ETCD_READY_MS, etcd, directory, () => answers(`${etcd.health}/health`))
  if (!tls || etcd.asksForNames) return
  await askForNames(etcd.url, tls)
  etcd.asksForNames = true
  write(cluster)
}

async function startNode(cluster, node) {
  if (node.id === undefined) {
    const words = ['node', 'join', node.token, '--state', node.state, ...accessWords(cluster)]
    const { nodeId } = await kintsugi([...words, '--json'], cluster)
    node.id = nodeId
    node.token = undefined
    write(cluster)
  }
  if (isRunning(node)) return
  launch(cluster, node, process.execPath, [
    ...[KINTSUGI, 'node', ...node.drives, '--state', node.state],
    ...['--listen', `${HOST}:${node.port}`, '--admin-port', `${node.adminPort}`],
    ...(node.zone === undefined ? [] : ['--zone', node.zone]),
    ...(cluster.garbageGrace === undefined ? [] : ['--garbage-grace', `${cluster.garbageGrace}`]),
    ...[...accessWords(cluster), ...memberWords(cluster)],
  ])
}

function startMember(cluster, one) {
  return cluster.gateways.includes(one) ? startGateway(cluster, one) : startNode(cluster, one)
}

function startGateway(cluster, gateway) {
  if (isRunning(gateway)) return
  mkdirSync(gateway.state, { recursive: true })
  launch(cluster, gateway, process.execPath, [
    ...[KINTSUGI, 'gateway', ...etcdWords(cluster), '--state', gateway.state],
    ...['--port', `${gateway.port}`, '--admin-port', `${gateway.adminPort}`],
    ...(cluster.processes === undefined ? [] : ['--processes', `${cluster.processes}`]),
    ...memberWords(cluster),
  ])
}

/** Where etcd is, and who we are to it. */
function etcdWords(cluster) {
  return ['--etcd', cluster.etcd.url, ...accessWords(cluster)]
}

function accessWords({ tls }) {
  return tls ? etcdAccessWords(tls) : []
}

function memberWords({ tls }) {
  return tls ? nodeTlsWords(tls) : []
}

/** Starts a program that outlives us, and remembers it; its output goes to a file. */
function launch(cluster, one, program, words) {
  const { directory, tls } = cluster
  const log = openSync(logOf(directory, one), 'a')
  const child = spawn(program, words, {
    detached: true,
    stdio: ['ignore', log, log],
    // The root key is in etcd, and what is meant for one process would confuse another.
    env: {
      ...Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !name.startsWith('KINTSUGI_')),
      ),
      ...(tls ? etcdPassword(tls) : {}),
    },
  })
  closeSync(log)
  child.on('error', (error) => {
    const hint = program === 'etcd' ? ' (Debian: apt install etcd-server)' : ''
    process.stderr.write(`dev-cluster: ${program} can not be started${hint}: ${error.message}\n`)
    process.exit(1)
  })
  child.unref()
  one.pid = child.pid
  one.startedAt = startOf(child.pid)
  // At once: what goes wrong from here on must not leave a process that down knows nothing of.
  write(cluster)
}

/** Whether the process that we started still runs: an id that was given to another one is not it. */
function isRunning({ pid, startedAt }) {
  return pid !== undefined && startedAt !== undefined && startOf(pid) === startedAt
}

/** When a process began, in ticks since the machine did; undefined for one that ended. */
function startOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    // 3rd: its state, 22nd: its start.
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

async function end(one) {
  if (!isRunning(one)) return
  process.kill(one.pid, 'SIGTERM')
  // What was stopped does not hear of it before it goes on.
  process.kill(one.pid, 'SIGCONT')
  const untilMs = Date.now() + END_MS
  while (isRunning(one) && Date.now() < untilMs) await sleep(50)
  if (isRunning(one)) process.kill(one.pid, 'SIGKILL')
}

/** One that gave up because etcd was late is started again, as systemd does. */
async function serves(cluster, members, untilMs) {
  const { directory } = cluster
  const again = async (one) => {
    if (!ETCD_IS_LATE.test(lastLines(logOf(directory, one)))) return false
    await startMember(cluster, one)
    write(cluster)
    return true
  }
  await Promise.all(
    members.map((one) => {
      const isReady = () => answers(`http://${HOST}:${one.adminPort}/health/ready`)
      return until(untilMs, one, directory, isReady, again)
    }),
  )
}

async function until(untilMs, one, directory, isDone, again = async () => false) {
  while (!(await isDone())) {
    const log = logOf(directory, one)
    if (!isRunning(one) && !(await again(one)))
      throw new Refusal(`${one.name} ended: ${lastLines(log)}`)
    if (Date.now() > untilMs) throw new Refusal(`${one.name} does not serve yet: see ${log}`)
    await sleep(100)
  }
}

async function answers(url) {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok
  } catch {
    return false
  }
}

/** Runs a command that answers with JSON; again while etcd is late. */
async function kintsugi(words, { tls }) {
  const env = { ...process.env, ...(tls ? etcdPassword(tls) : {}) }
  const untilMs = Date.now() + ETCD_LATE_MS
  for (;;) {
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [KINTSUGI, ...words], { env })
      return JSON.parse(stdout)
    } catch (error) {
      const why = error.stderr?.trim() || error.message
      if (!ETCD_IS_LATE.test(why) || Date.now() > untilMs) throw new Refusal(why)
      await sleep(1_000)
    }
  }
}

// What is remembered and said.

function readCluster(directory) {
  const path = join(directory, 'cluster.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

function known(directory) {
  const cluster = readCluster(directory)
  if (cluster === undefined) throw new Refusal(`there is no cluster in ${directory}`)
  return cluster
}

function write(cluster) {
  const path = join(cluster.directory, 'cluster.json')
  writeFileSync(`${path}.draft`, `${JSON.stringify(cluster, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.draft`, path)
}

function say(cluster, { json }) {
  const { directory, gateways, nodes, etcd, accessKeyId, credentials } = cluster
  const urls = gateways.map(({ url }) => url)
  if (json) {
    const shown = nodes.map(({ id, pid }) => ({ id, pid }))
    const pids = gateways.map(({ pid }) => pid)
    const more = { accessKeyId, credentials, gatewayPids: pids }
    print(JSON.stringify({ gateways: urls, nodes: shown, etcd: { pid: etcd.pid }, ...more }))
    return
  }
  print(`S3 endpoints  ${urls.join(' ')}`)
  print(`Nodes         ${nodes.map(({ id, pid }) => `${id} (process ${pid})`).join(', ')}`)
  print(`etcd          ${etcd.url} (process ${etcd.pid})`)
  print(`Access key    ${accessKeyId}`)
  print(`Secret key    in ${credentials} (only its owner can read it)`)
  print('\nTry it:')
  print(`  export AWS_SHARED_CREDENTIALS_FILE=${credentials} AWS_DEFAULT_REGION=us-east-1`)
  print(`  aws --endpoint-url ${urls[0]} s3 mb s3://my-bucket`)
  print(`  aws --endpoint-url ${urls.at(-1)} s3 cp README.md s3://my-bucket/`)
  print(`\nEnd it: deploy/dev-cluster down --dir ${directory}`)
}

/** A cluster stays as it was made, whatever `up` is told later. */
function sayUnused({ directory, nodes, gateways, garbageGrace, ...made }, options) {
  const has = {
    ...{ nodes: nodes.length, gateways: gateways.length, drives: nodes[0]?.drives.length },
    ...{ processes: made.processes, zones: made.zones, tls: made.tls !== undefined },
    'garbage-grace': garbageGrace,
    // etcd is told of the code last.
    code: made.accessKeyId === undefined ? options.code : made.code,
  }
  const unused = Object.keys(has).filter(
    (name) => options[name] && String(options[name]) !== String(has[name]),
  )
  if (unused.length === 0) return
  const named = unused.map((name) => `--${name}`).join(', ')
  const why = `the cluster in ${directory} stays as it was made, which "add" makes larger`
  process.stderr.write(`dev-cluster: ${why}: not used: ${named}\n`)
}

function print(line) {
  process.stdout.write(`${line}\n`)
}

function logOf(directory, { name }) {
  return join(directory, 'log', `${name}.log`)
}

function lastLines(path) {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-5).join('\n')
}

function count(name, text) {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new Misuse(`--${name} takes a number from 1 to 9999, not "${text}"`)
}

/** Below those that the system gives to connections on their way out: one of these may have it when a process starts again. */
async function freePort() {
  for (;;) {
    const port = randomInt(PORTS.first, PORTS.last)
    if (chosenPorts.has(port) || !(await isFree(port))) continue
    chosenPorts.add(port)
    return port
  }
}

function isFree(port) {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen(port, HOST, () => server.close(() => done(true)))
  })
}
