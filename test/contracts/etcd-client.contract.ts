// What EtcdClient promises, whatever etcd is behind it.
import type { Test } from 'tap'
import type { World } from '../../src/kit/world.ts'
import { EtcdClient } from '../../src/placement/etcd/etcd-client.ts'
import { endOfPrefix, type WatchAnswer } from '../../src/placement/etcd/etcd-wire.ts'

/** An etcd of a test, and what can be done to it. */
export interface EtcdUnderTest {
  endpoint: string
  world: World
  /** Ends it without a word; its data stay. */
  takeAway(): Promise<void>
  bringBack(): Promise<void>
  /** Remembers what it has now. */
  backUp(): Promise<void>
  /** Puts that back in its place, and starts it. */
  restoreBackup(): Promise<void>
}

export type OpenEtcd = (t: Test) => Promise<EtcdUnderTest>

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')
const put = (key: string, value: string) =>
  ({ kind: 'put', key, value: Buffer.from(value) }) as const

export function etcdClientContract(t: Test, open: OpenEtcd): void {
  const connect = async (t: Test): Promise<{ etcd: EtcdUnderTest; client: EtcdClient }> => {
    const etcd = await open(t)
    return { etcd, client: new EtcdClient({ endpoints: [etcd.endpoint] }, etcd.world) }
  }

  t.test('a change is made when every comparison holds, whole or not at all', async (t) => {
    const { client } = await connect(t)
    const absent = { key: 'a/1', modRevision: 0 }
    const first = await client.txn({
      compare: [absent],
      changes: [put('a/1', 'one'), put('a/2', '')],
    })
    t.ok(first.succeeded)
    const again = await client.txn({ compare: [absent], changes: [put('a/1', 'other')] })
    t.notOk(again.succeeded)
    t.equal(again.revision, first.revision, 'nothing happened')

    const { keys, count, more, clusterId } = await client.range({ key: 'a/', rangeEnd: 'a0' })
    t.same(
      keys.map(({ key, value, modRevision }) => [key, text(value), modRevision]),
      [
        ['a/1', 'one', first.revision],
        ['a/2', '', first.revision],
      ],
    )
    t.same([count, more, clusterId], [2, false, first.clusterId])

    const changed = await client.txn({
      compare: [{ key: 'a/1', modRevision: first.revision }, absent].slice(0, 1),
      changes: [put('a/1', 'ünë'), { kind: 'delete', key: 'a/2' }, { kind: 'delete', key: 'none' }],
    })
    t.equal(changed.revision, first.revision + 1)
    const after = await client.range({ key: 'a/', rangeEnd: endOfPrefix('a/') })
    t.same(
      after.keys.map(({ value }) => text(value)),
      ['ünë'],
    )
    const before = await client.range({ key: 'a/2', revision: first.revision })
    t.equal(before.keys.length, 1, 'the past is there until it is compacted')
  })

  t.test('pages, and only what is new', async (t) => {
    const { client } = await connect(t)
    const changes = Array.from({ length: 7 }, (_, index) => put(`b/${index}`, `${index}`))
    const { revision } = await client.txn({ compare: [], changes })
    const page = await client.range({ key: 'b/', rangeEnd: 'b0', limit: 3, revision })
    t.same([page.keys.length, page.more, page.count], [3, true, 7])
    const rest = await client.range({ key: 'b/2\0', rangeEnd: 'b0', limit: 10, revision })
    t.same([rest.keys.length, rest.more], [4, false])
    await client.txn({ compare: [], changes: [put('b/3', 'new')] })
    const fresh = await client.range({ key: 'b/', rangeEnd: 'b0', minModRevision: revision + 1 })
    t.same([fresh.keys.map(({ key }) => key), fresh.count], [['b/3'], 7])
  })

  t.test('a watch tells what was and what comes, and says when that is gone', async (t) => {
    const { client, etcd } = await connect(t)
    const { revision } = await client.txn({ compare: [], changes: [put('c/1', 'x')] })
    const stopping = new AbortController()
    const span = { key: 'c/', rangeEnd: 'c0' }
    const watch = client.watch({ ...span, fromRevision: revision }, stopping.signal)
    t.same((await next(watch)).events, [])
    t.match((await next(watch)).events, [{ kind: 'put', keyValue: { key: 'c/1' } }])
    await client.txn({ compare: [], changes: [put('d', 'not watched')] })
    const gone = [{ kind: 'delete', key: 'c/1' } as const, put('c/2', 'y'), put('c/3', 'z')]
    const { revision: last } = await client.txn({ compare: [], changes: gone })
    const { events, revision: told } = await next(watch)
    t.equal(told, last)
    t.match(events, [
      { kind: 'delete', key: 'c/1', modRevision: last },
      { kind: 'put', keyValue: { key: 'c/2', modRevision: last } },
      { kind: 'put', keyValue: { key: 'c/3' } },
    ])
    const waiting = next(watch)
    stopping.abort(new Error('enough'))
    await t.rejects(waiting, { message: 'enough' })

    await compact(etcd, last)
    const late = client.watch({ ...span, fromRevision: revision }, new AbortController().signal)
    await next(late)
    await t.rejects(next(late), { code: 'ETCD_COMPACTED' })
    await t.rejects(client.range({ key: 'c/1', revision }), { code: 'ETCD_COMPACTED' })
  })

  t.test('a lease keeps its keys until it is revoked', async (t) => {
    const { client } = await connect(t)
    const lease = await client.grantLease(60)
    await client.txn({ compare: [], changes: [{ ...put('e', 'x'), lease: lease.id }] })
    t.equal((await client.range({ key: 'e' })).keys[0]?.lease, lease.id)
    t.equal(await client.keepAlive(lease.id), true)
    await client.revoke(lease.id)
    t.same((await client.range({ key: 'e' })).keys, [])
    t.equal(await client.keepAlive(lease.id), false)
    await client.revoke(lease.id)
    const orphan = client.txn({ compare: [], changes: [{ ...put('e', 'x'), lease: lease.id }] })
    await t.rejects(orphan, { code: 'ETCD_REFUSED', grpcCode: 5 })
  })

  t.test('what is too much is refused, and nothing of it is done', async (t) => {
    const { client } = await connect(t)
    const large = put('f', 'x'.repeat(2_000_000))
    await t.rejects(client.txn({ compare: [], changes: [large] }), { code: 'ETCD_REFUSED' })
    const many = Array.from({ length: 129 }, (_, index) => put(`f/${index}`, ''))
    await t.rejects(client.txn({ compare: [], changes: many }), { code: 'ETCD_REFUSED' })
    t.equal((await client.range({ key: 'f', rangeEnd: 'g' })).count, 0)
  })

  t.test('an endpoint that is away is passed by; none left is said', async (t) => {
    const { etcd } = await connect(t)
    const endpoints = ['http://127.0.0.1:9', etcd.endpoint]
    const client = new EtcdClient({ endpoints, timeoutMs: 5_000 }, etcd.world)
    t.ok((await client.txn({ compare: [], changes: [put('g', '1')] })).succeeded)
    const watch = client.watch({ key: 'g', fromRevision: 1 }, new AbortController().signal)
    await next(watch)
    await next(watch)
    const broken = next(watch)
    broken.catch(() => {}) // Looked at below, when it may have happened already.
    await etcd.takeAway()
    await t.rejects(broken, { code: 'ETCD_UNAVAILABLE' })
    await t.rejects(client.range({ key: 'g' }), { code: 'ETCD_UNAVAILABLE' })
    await etcd.bringBack()
    t.equal(text((await client.range({ key: 'g' })).keys[0]!.value), '1')
  })
}

async function next(watch: AsyncGenerator<WatchAnswer>): Promise<WatchAnswer> {
  const { value, done } = await watch.next()
  if (done) throw new Error('the watch ended')
  return value
}

async function compact({ endpoint, world }: EtcdUnderTest, revision: number): Promise<void> {
  await world.http.send({
    method: 'POST',
    url: `${endpoint}/v3/kv/compaction`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ revision: `${revision}` }),
    timeoutMs: 5_000,
    maxBytes: 10_000,
  })
}
