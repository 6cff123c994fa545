// The client against the simulated etcd: the contract, and what only a simulation can do.
import t, { type Test } from 'tap'
import { stayAlive } from '../../../../src/kit/world.ts'
import { EtcdClient } from '../../../../src/placement/etcd/etcd-client.ts'
import { etcdClientContract } from '../../../contracts/etcd-client.contract.ts'
import { openEtcdInMemory } from '../../../support/etcd-in-memory.ts'

t.test('simulated', async (t: Test) => etcdClientContract(t, openEtcdInMemory))

const PUT = { kind: 'put', key: 'k', value: Buffer.from('v') } as const
const ABSENT = { key: 'k', modRevision: 0 }

t.test('a lost answer leaves the outcome open, and the change may have been made', async (t) => {
  const { etcd, endpoint, world } = await openEtcdInMemory()
  const client = new EtcdClient({ endpoints: [endpoint] }, world)
  etcd.mood = 'losing answers'
  await t.rejects(client.txn({ compare: [ABSENT], changes: [PUT] }), { code: 'ETCD_UNAVAILABLE' })
  etcd.mood = 'well'
  t.equal((await client.range({ key: 'k' })).count, 1)
})

t.test('calls side by side each ask every member, and the one that answered first', async (t) => {
  const { endpoint, world } = await openEtcdInMemory()
  const asked: string[] = []
  const send: typeof world.http.send = async (request) => {
    asked.push(new URL(request.url).host)
    return await world.http.send(request)
  }
  const endpoints = ['http://dead.test:2379', endpoint, 'http://gone.test:2379']
  const client = new EtcdClient({ endpoints }, { http: { ...world.http, send } })
  await Promise.all([1, 2, 3].map(() => client.range({ key: 'k' })))
  t.same(asked.splice(0).sort(), [
    ...Array(3).fill('dead.test:2379'),
    ...Array(3).fill('etcd.test:2379'),
  ])
  await client.range({ key: 'k' })
  t.same(asked, ['etcd.test:2379'])
})

t.test('a late answer is none', async (t) => {
  const { etcd, endpoint, world } = await openEtcdInMemory()
  const client = new EtcdClient({ endpoints: [endpoint], timeoutMs: 20 }, world)
  etcd.delayMs = 50
  await t.rejects(stayAlive(client.range({ key: 'k' })), { code: 'ETCD_UNAVAILABLE' })
})

t.test('users have tokens, which are made anew when they end', async (t) => {
  const { etcd, endpoint, world } = await openEtcdInMemory()
  const user = { name: 'kintsugi', password: 'secret' }
  const client = new EtcdClient({ endpoints: [endpoint], user }, world)
  t.ok((await client.txn({ compare: [], changes: [PUT] })).succeeded, 'nobody asks yet')
  etcd.user = user
  t.equal((await client.range({ key: 'k' })).count, 1)
  etcd.forgetTokens()
  t.equal((await client.range({ key: 'k' })).count, 1)
  etcd.forgetTokens()
  const stopping = new AbortController()
  const watch = client.watch({ key: 'k', fromRevision: 1 }, stopping.signal)
  t.same((await watch.next()).value?.events, [])
  stopping.abort()
  const logins = etcd.asked.filter((path) => path.endsWith('/authenticate')).length
  t.equal(logins, 4, 'one for each token, and none besides')

  const nameless = new EtcdClient({ endpoints: [endpoint] }, world)
  await t.rejects(nameless.range({ key: 'k' }), { code: 'ETCD_REFUSED', message: /user name/ })
  const wrong = new EtcdClient({ endpoints: [endpoint], user: { ...user, password: 'x' } }, world)
  await t.rejects(wrong.range({ key: 'k' }), { code: 'ETCD_REFUSED', message: /invalid user ID/ })
})

t.test('leases end by the clock, or all at once', async (t) => {
  const { etcd, endpoint, world } = await openEtcdInMemory()
  const client = new EtcdClient({ endpoints: [endpoint] }, world)
  const { id } = await client.grantLease(600)
  await client.txn({ compare: [], changes: [{ ...PUT, lease: id }] })
  etcd.expireAll()
  t.equal(await client.keepAlive(id), false)
  t.equal((await client.range({ key: 'k' })).count, 0)
})
