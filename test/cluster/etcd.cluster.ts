// The contracts against a real etcd; users and certificates, as it understands them.
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { prepareDigests } from '../../src/digest/prepare.ts'
import { realWorld } from '../../src/kit/world.ts'
import { EtcdClient } from '../../src/placement/etcd/etcd-client.ts'
import { etcdClientContract } from '../contracts/etcd-client.contract.ts'
import { etcdClusterContract } from '../contracts/etcd-cluster.contract.ts'
import { etcdCoordinatorContract } from '../contracts/etcd-coordinator.contract.ts'
import { startEtcd } from './etcd-process.ts'

await prepareDigests()

t.jobs = 1

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

t.test('the client', async (t) => etcdClientContract(t, (t) => startEtcd(t)))

t.test('the coordinator', async (t) => etcdCoordinatorContract(t, (t) => startEtcd(t)))

t.test('leadership, nodes, restoring', async (t) => {
  etcdClusterContract(t, (t) => startEtcd(t))
})

t.test('users, and tokens that end', async (t) => {
  const { endpoint, world } = await startEtcd(t, ['--auth-token-ttl', '2'])
  const user = { name: 'root', password: 'secret' }
  const client = new EtcdClient({ endpoints: [endpoint], user }, world)
  t.same((await client.range({ key: 'k' })).count, 0, 'before anyone asks for names')
  await askForNames(endpoint, user)
  const put = { kind: 'put', key: 'k', value: Buffer.from('v') } as const
  t.ok((await client.txn({ compare: [], changes: [put] })).succeeded)
  await world.clock.sleep(4_000)
  t.equal((await client.range({ key: 'k' })).count, 1, 'with a token of its own after the first')

  const nameless = new EtcdClient({ endpoints: [endpoint] }, world)
  await t.rejects(nameless.range({ key: 'k' }), { code: 'ETCD_REFUSED' })
  const wrong = new EtcdClient({ endpoints: [endpoint], user: { ...user, password: 'x' } }, world)
  await t.rejects(wrong.range({ key: 'k' }), { code: 'ETCD_REFUSED' })
  const stopping = new AbortController()
  const watch = client.watch({ key: 'k', fromRevision: 1 }, stopping.signal)
  t.same((await watch.next()).value?.events, [])
  stopping.abort()
})

t.test('a token of what a restored etcd has forgotten', async (t) => {
  const { endpoint, world, backUp, restoreBackup } = await startEtcd(t)
  const user = { name: 'root', password: 'secret' }
  await askForNames(endpoint, user)
  await backUp()
  const put = { kind: 'put', key: 'k', value: Buffer.from('v') } as const
  const early = new EtcdClient({ endpoints: [endpoint], user }, world)
  for (let count = 0; count < 20; count += 1) await early.txn({ compare: [], changes: [put] })
  const client = new EtcdClient({ endpoints: [endpoint], user }, world)
  t.equal((await client.range({ key: 'k' })).count, 1)
  await restoreBackup()
  // etcd waits for what it will never apply before it says that it does not know the token.
  await client.range({ key: 'k' }).catch(() => undefined)
  t.equal((await client.range({ key: 'k' })).count, 0)
})

t.test('certificates of both sides', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-tls-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  makeCertificates(directory)
  const file = (name: string): string => join(directory, name)
  const { endpoint, world } = await startEtcd(
    t,
    [
      ...['--cert-file', file('cert.pem'), '--key-file', file('key.pem')],
      ...['--trusted-ca-file', file('ca.pem'), '--client-cert-auth'],
    ],
    'https',
  )
  const read = (name: string): Promise<string> => readFile(file(name), 'utf8')
  const ca = await read('ca.pem')
  const tls = { ca, cert: await read('cert.pem'), key: await read('key.pem') }
  const client = new EtcdClient({ endpoints: [endpoint], tls, timeoutMs: 10_000 }, world)
  const put = { kind: 'put', key: 'k', value: Buffer.from('v') } as const
  t.ok((await client.txn({ compare: [], changes: [put] })).succeeded)
  const stopping = new AbortController()
  const watch = client.watch({ key: 'k', fromRevision: 1 }, stopping.signal)
  t.same((await watch.next()).value?.events, [])
  t.equal((await watch.next()).value?.events.length, 1)
  stopping.abort()
  const nameless = new EtcdClient({ endpoints: [endpoint], tls: { ca } }, world)
  await t.rejects(nameless.range({ key: 'k' }), { code: 'ETCD_UNAVAILABLE' })
  const trusting = new EtcdClient({ endpoints: [endpoint] }, world)
  await t.rejects(trusting.range({ key: 'k' }), { code: 'ETCD_UNAVAILABLE' })
})

/** From now on etcd lets nobody in but this root. */
async function askForNames(
  endpoint: string,
  root: { name: string; password: string },
): Promise<void> {
  const { http } = realWorld()
  const call = async (path: string, body: object): Promise<void> => {
    await http.send({
      ...{ method: 'POST', url: `${endpoint}/v3/auth/${path}`, body: JSON.stringify(body) },
      headers: { 'content-type': 'application/json' },
      ...{ timeoutMs: 20_000, maxBytes: 100_000 },
    })
  }
  await call('user/add', root)
  await call('role/add', { name: root.name })
  await call('user/grant', { user: root.name, role: root.name })
  await call('enable', {})
}

/** One authority, and one certificate for both sides. */
function makeCertificates(directory: string): void {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-subj', '/CN=ca')
  openssl('req', ...key, '-keyout', 'key.pem', '-out', 'csr.pem', '-subj', '/CN=etcd')
  execFileSync(
    'bash',
    [
      '-c',
      `openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out cert.pem -extfile <(printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth')`,
    ],
    { cwd: directory, stdio: 'ignore' },
  )
}
