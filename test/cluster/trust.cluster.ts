// A cluster that trusts nobody but its own, in three zones: TLS between all processes, names and certificates for etcd. Real
// processes: strangers at a node and at etcd, a zone that dies, and an etcd that was restored from an older backup.
import { execFileSync } from 'node:child_process'
import { cp, readFile, rm } from 'node:fs/promises'
import { request as requestPlain } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../src/digest/prepare.ts'
import { realWorld } from '../../src/kit/world.ts'
import { readKnownCopy } from '../../src/placement/etcd/known-copy.ts'
import { readAgreed } from '../../src/placement/etcd/state-keys.ts'
import { ClientSessions } from '../../src/storage-node/rpc/client-session.ts'
import { FrameKind } from '../../src/storage-node/rpc/frames.ts'
import { encodeMessage, MessageType } from '../../src/storage-node/rpc/messages.ts'
import { MESSAGES_PATH } from '../../src/storage-node/rpc/node-service.ts'
import { HELLO_PATH } from '../../src/storage-node/rpc/session-format.ts'
import {
  DevCluster,
  KnownObjects,
  ok,
  openClients,
  type Remembered,
  type Shown,
  until,
} from '../support/dev-cluster.ts'

const world = realWorld()
await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

t.test('a cluster that trusts nobody but its own', async (t) => {
  const dev = await DevCluster.make(t, ['--nodes', '6', '--zones', '3', '--tls'])
  const shown = await dev.up()
  const clients = openClients(t, shown)
  const objects = new KnownObjects(clients, 'trust')
  await objects.makeBucket()
  await objects.write('before')
  await objects.readAll(t, 'before')
  await t.test('strangers at a node get nothing', (t) => meetStrangers(t, dev))
  await t.test('strangers at etcd get nothing', (t) => askEtcd(t, dev))
  await t.test('a whole zone dies', (t) => killZone(t, dev, objects))
  await t.test('etcd is restored from an older backup', (t) => restoreOlder(t, dev, objects))
})

/** Who we are on the way to a node. */
type Papers = Pick<RequestOptions, 'ca' | 'cert' | 'key'>

async function meetStrangers(t: Test, dev: DevCluster): Promise<void> {
  const { tls, nodes } = await dev.remembered()
  const { port, id, state } = nodes[0]!
  const [ca, cert, key] = await Promise.all(
    [tls!.ca, tls!.member.cert, tls!.member.key].map((path) => readFile(path, 'utf8')),
  )
  const ours: Papers = { ca, cert, key }
  const known = await readKnownCopy(world, state)
  const agreed = known.kind === 'found' ? readAgreed(known.image) : undefined
  const { clusterId, cluster } = agreed!.state
  const open = (secret: Buffer): Promise<Said> =>
    sayPing({ to: id, clusterId, secret, port, papers: ours })

  const said = await open(Buffer.from(cluster!.secret, 'hex'))
  t.equal((await send(port, ours, said)).status, 200, 'one of the cluster is answered')
  t.equal((await send(port, ours, said)).status, 401, 'what is said again is not')
  const changed = await open(Buffer.from(cluster!.secret, 'hex'))
  changed.body[changed.body.length - 20]! ^= 1
  t.not((await send(port, ours, changed)).status, 200, 'what was changed is not')
  await t.rejects(open(Buffer.alloc(32, 'a guess')), { name: 'NodeUnreachable' })
  const headless = { headers: {}, body: Buffer.alloc(0) }
  t.equal((await send(port, ours, headless)).status, 401, 'a certificate without the secret')

  t.equal((await send(port, { ca }, said)).status, 0, 'no certificate')
  t.equal((await send(port, { ca, ...foreignPapers(dev) }, said)).status, 0, 'a foreign one')
  t.equal((await sendPlain(port)).status, 0, 'no TLS')
  const shown = connectTls({ port, host: '127.0.0.1', ca, cert, key })
  await new Promise((resolve) => shown.once('secureConnect', resolve))
  t.ok(shown.authorized, 'the node shows a certificate of the cluster')
  shown.destroy()
}

/** One exchange of a session, ready to be sent. */
interface Said {
  headers: Record<string, string>
  body: Buffer
}

/** A ping as a node or a gateway would say it. */
async function sayPing({
  to,
  clusterId,
  secret,
  port,
  papers,
}: {
  to: string
  clusterId: string
  secret: Buffer
  port: number
  papers: Papers
}): Promise<Said> {
  const identity = { clusterId, nodeId: 'a-gateway', secrets: () => [secret] }
  const sessions = new ClientSessions(
    { identity, to, payloadBytesMax: 10_000 },
    world,
    async (headers) => {
      const welcome = await send(port, papers, { headers, body: Buffer.alloc(0) }, HELLO_PATH)
      return welcome.status === 200 ? welcome.headers : undefined
    },
  )
  const session = await sessions.get()
  const deadlineMs = world.clock.monotonicMs() + 60_000
  const { headers, writer } = session.begin(MESSAGES_PATH, deadlineMs)
  const message = encodeMessage({
    ...{ id: 0, type: MessageType.Ping, body: Buffer.alloc(0) },
    deadlineMs: session.theirMs(deadlineMs),
  })
  const frames = [writer.frame(FrameKind.Message, message), writer.frame(FrameKind.End)]
  return { headers, body: Buffer.concat(frames) }
}

interface Heard {
  /** 0: nothing, not even an answer that says no. */
  status: number
  headers: Record<string, string>
}

const NOTHING: Heard = { status: 0, headers: {} }

function send(
  port: number,
  papers: Papers,
  { headers, body }: Said,
  path = MESSAGES_PATH,
): Promise<Heard> {
  const to = { host: '127.0.0.1', port, path, method: 'POST', agent: false } as const
  return hear(
    request({ ...to, ...papers, headers: { ...headers, 'content-length': body.length } }),
    body,
  )
}

function sendPlain(port: number): Promise<Heard> {
  const to = { host: '127.0.0.1', port, path: HELLO_PATH, method: 'POST' }
  return hear(requestPlain(to), Buffer.alloc(0))
}

/** Resolves with the head of an answer whose body came whole. */
function hear(sent: ReturnType<typeof request>, body: Buffer): Promise<Heard> {
  return new Promise((resolve) => {
    sent.on('error', () => resolve(NOTHING))
    sent.on('response', (answer) => {
      const headers = answer.headers as Record<string, string>
      answer.on('error', () => resolve(NOTHING))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers }))
      answer.resume()
    })
    sent.end(body)
  })
}

/** A certificate that another authority signed, for the same address. */
function foreignPapers({ directory }: DevCluster): Papers {
  const words = [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', '/O=elsewhere', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-keyout', '-', '-out', '-'],
  ]
  const text = execFileSync('openssl', words, {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return { cert: text, key: text }
}

async function askEtcd(t: Test, dev: DevCluster): Promise<void> {
  const { tls, etcd } = await dev.remembered()
  const words = ['cluster', 'token', '--etcd', etcd.url]
  const papers = ['--etcd-ca', tls!.ca, '--etcd-cert', tls!.member.cert]
  const all = [...papers, '--etcd-key', tls!.member.key]
  t.match(await dev.kintsugi(...words, ...all, '--etcd-user', tls!.user), /kintsugi-join-/)
  await t.rejects(dev.kintsugi(...words, ...all), /user name is empty|etcd/, 'nobody by name')
  await t.rejects(dev.kintsugi(...words, ...all, '--etcd-user', 'root'), /etcd/, 'a guess')
  await t.rejects(dev.kintsugi(...words, '--etcd-ca', tls!.ca), /etcd/, 'no certificate')
  await t.rejects(dev.kintsugi(...words), /certificate/, 'whom we do not know')
}

/** Two of six nodes, as a rack that loses its power. */
async function killZone(t: Test, dev: DevCluster, objects: KnownObjects): Promise<void> {
  const zones = (await dev.remembered()).nodes.map(({ zone }) => zone)
  t.same(zones, ['zone-1', 'zone-2', 'zone-3', 'zone-1', 'zone-2', 'zone-3'])
  const shown = await dev.up()
  const [first, , , second] = shown.nodes
  for (const { pid } of [first!, second!]) process.kill(pid, 'SIGKILL')
  await objects.readAll(t, 'a zone is dead')
  await objects.write('without-a-zone')
  await objects.deleteLargest('before')
  await objects.readAll(t, 'written without a zone')
  await dev.up()
  await objects.readAll(t, 'the zone is back')
}

async function restoreOlder(t: Test, dev: DevCluster, objects: KnownObjects): Promise<void> {
  const data = join(dev.directory, 'etcd')
  const backup = join(dev.directory, 'etcd-backup')
  await withoutEtcd(dev, () => cp(data, backup, { recursive: true }))
  const later = new KnownObjects(objects.clients, 'made-later')
  await later.makeBucket()
  await later.write('before-the-restore')
  // Its partitions get other leaders, of which the backup knows nothing.
  process.kill((await dev.up()).nodes[2]!.pid, 'SIGKILL')
  await later.write('another-leader')
  await dev.up()

  await withoutEtcd(dev, async () => {
    await rm(data, { recursive: true })
    await cp(backup, data, { recursive: true })
  })
  await until('restored', () => standingOf(dev))
  const refused = { method: 'PUT', path: '/not-yet' }
  t.equal((await objects.clients[0]!.send(refused)).status, 503, 'no bucket is made')
  await later.write('not-believed')
  for (const known of [objects, later]) await known.readAll(t, 'etcd is not believed')

  t.match(await dev.kintsugi(...restoreWords(await dev.remembered())), /go on by themselves/)
  await until('current', () => standingOf(dev))
  await ok(objects.clients[1]!, refused)
  for (const known of [objects, later]) await known.readAll(t, 'etcd was restored')
  process.kill((await dev.up()).nodes[1]!.pid, 'SIGKILL')
  await later.write('led-again')
  for (const known of [objects, later]) await known.readAll(t, 'leaders of the new generation')
}

/** What nodes and gateways remember, all of them. */
function restoreWords({ etcd, nodes, gateways, tls }: Remembered): string[] {
  const states = [...nodes, ...gateways].map(({ state }) => state)
  return [
    ...['cluster', 'restore-coordinator', '--etcd', etcd.url, '--etcd-ca', tls!.ca],
    ...['--etcd-cert', tls!.member.cert, '--etcd-key', tls!.member.key, '--etcd-user', tls!.user],
    ...states,
  ]
}

/** Ends etcd, does something to its files, and starts it again. */
async function withoutEtcd(dev: DevCluster, work: () => Promise<void>): Promise<Shown> {
  const { pid } = (await dev.up()).etcd
  process.kill(pid, 'SIGKILL')
  while (await isThere(pid)) await sleep(20)
  await work()
  return await dev.up()
}

async function isThere(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tZ')
  return !/^State:\tZ/m.test(status)
}

/** How the first gateway stands with etcd. */
async function standingOf(dev: DevCluster): Promise<string> {
  const { gateways } = await dev.remembered()
  const text = await dev.kintsugi('status', '--endpoint', gateways[0]!.url, '--json')
  return (JSON.parse(text) as { etcd: { kind: string } }).etcd.kind
}
