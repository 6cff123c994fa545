// What a recovery asks of nodes comes out as it went in, and what is no request is refused. Pages that are sent again are taken once.
import t from 'tap'
import { realWorld } from '../../../src/kit/world.ts'
import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import { Inbox } from '../../../src/storage-node/recovery/inbox.ts'
import {
  decodeIds,
  decodeLogPage,
  decodeRecovery,
  decodeShards,
  decodeStandings,
  decodeTimes,
  encodeIds,
  encodeLogPage,
  encodeRecovery,
  encodeShards,
  encodeStandings,
  encodeTimes,
  type RecoveryRequest,
} from '../../../src/storage-node/recovery/recovery-messages.ts'
import type { ReplicaStanding, RowsPage } from '../../../src/storage-node/replicated/contract.ts'

const REPLICA = '7-0123456789abcdef' as ReplicaId
const PAGE: RowsPage = {
  position: { epoch: 3 * 0x1_0000, sequence: 2 ** 51 },
  rows: [{ key: Buffer.from('k'), value: Buffer.from('v') }],
}

t.test('requests', async (t) => {
  const requests: RecoveryRequest[] = [
    { kind: 'standings', partition: 3, replicas: [REPLICA, REPLICA] },
    { kind: 'standings', partition: 3, replicas: [] },
    { kind: 'discard', replica: REPLICA },
    { kind: 'fence', partition: 3, epoch: 2 ** 36, replicas: [REPLICA] },
    { kind: 'drives' },
    { kind: 'dumps', partition: 4 },
    { kind: 'dump-page', reading: 2 ** 47, index: 1, partition: 5, takenMs: 1_700_000_000_000 },
    { kind: 'shards-page', reading: 8, index: 2, partition: 6 },
    { kind: 'replica-page', reading: 8, index: 2, replica: REPLICA, partition: 6 },
    { kind: 'log-page', reading: 8, index: 2, replica: REPLICA, after: 2 ** 50 },
    { kind: 'end-reading', reading: 9 },
    { kind: 'install', making: 10, index: 0, replica: REPLICA, partition: 7, page: PAGE },
    { kind: 'install', making: 10, index: 1, replica: REPLICA, partition: 7, page: undefined },
  ]
  for (const request of requests) {
    const bytes = encodeRecovery(request)
    t.same(decodeRecovery(bytes), request)
    t.throws(() => decodeRecovery(bytes.subarray(0, bytes.length - 1)), { code: 'BAD_MESSAGE' })
  }
  t.throws(() => decodeRecovery(Buffer.from([99])), { code: 'BAD_MESSAGE' })
})

t.test('answers', async (t) => {
  const standings: ReplicaStanding[] = [
    { kind: 'lives', end: { epoch: 5, sequence: 2 ** 50 } },
    { kind: 'suspect' },
    { kind: 'damaged' },
    { kind: 'gone' },
    { kind: 'closed' },
  ]
  t.same(decodeStandings(encodeStandings(standings)), standings)
  t.same(decodeIds(encodeIds([1, 4711])), [1, 4711])
  t.same(decodeTimes(encodeTimes([1, 1_700_000_000_000])), [1, 1_700_000_000_000])
  t.equal(decodeShards(encodeShards(undefined)), undefined)
  t.same(decodeShards(encodeShards([])), [])
  const batch = Buffer.from('a batch')
  const entry = { epoch: 2 ** 40, sequence: 2 ** 50, prevEpoch: 3, committed: 4, batch }
  for (const isWhole of [true, false]) {
    const entries = [entry, { ...entry, sequence: 7 }]
    t.same(decodeLogPage(encodeLogPage({ isWhole, entries })), { isWhole, entries })
    t.same(decodeLogPage(encodeLogPage({ isWhole, entries: [] })), { isWhole, entries: [] })
  }
  t.equal(decodeLogPage(encodeLogPage(undefined)), undefined)
})

t.test('pages that come one by one', async (t) => {
  const inbox = new Inbox(realWorld().clock)
  const taken: RowsPage[] = []
  const read = async (): Promise<void> => {
    for await (const page of inbox.pages()) taken.push(page)
  }
  inbox.serve(read())
  await Promise.all([inbox.put(0, PAGE), inbox.put(0, PAGE)])
  await inbox.put(1, PAGE)
  await t.rejects(inbox.put(3, PAGE), { code: 'BAD_MESSAGE' })
  await inbox.put(2, undefined)
  await inbox.put(2, undefined)
  t.equal(taken.length, 2, 'each once')
})

t.test('who reads them fails', async (t) => {
  const inbox = new Inbox(realWorld().clock)
  const read = async (): Promise<void> => {
    for await (const _page of inbox.pages()) throw new Error('the drive is full')
  }
  inbox.serve(read())
  await inbox.put(0, PAGE)
  await t.rejects(inbox.put(1, PAGE), /the drive is full/)
  await t.rejects(inbox.put(2, undefined), /the drive is full/)
})

t.test('pages that were taken are held by nobody', async (t) => {
  const added: string[] = []
  const { addEventListener } = EventTarget.prototype
  EventTarget.prototype.addEventListener = function (...args): void {
    added.push(args[0])
    addEventListener.apply(this, args)
  }
  t.teardown(() => {
    EventTarget.prototype.addEventListener = addEventListener
  })
  const inbox = new Inbox(realWorld().clock)
  const pages = inbox.pages()
  for (let index = 0; index < 20; index += 1) {
    const put = inbox.put(index, PAGE)
    await pages.next()
    await put
  }
  t.same(added, [])
  const late = inbox.put(20, PAGE)
  inbox.end(new Error('the node is closing'))
  await t.rejects(late, /the node is closing/)
})
