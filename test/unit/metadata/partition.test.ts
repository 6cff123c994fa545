// The partition as a whole: one order, many at a time, nothing twice, and a failed log.
import t from 'tap'
import { Overloaded } from '../../../src/kit/semaphore.ts'
import { KeyKind, RECOVERED_KEY } from '../../../src/metadata/rows/keys.ts'
import { encodeRecoveredRow } from '../../../src/metadata/rows/recovered-row.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import { MemoryLog } from './memory-log.ts'
import { bucket, everything, openFixture, START_MS, TestClock, uidAt } from './partition-fixture.ts'

t.test('of 32 conditional puts at once exactly one wins', async (t) => {
  const { store } = await openFixture()
  const puts = Array.from({ length: 32 }, (_, index) =>
    store.put('lock', `e${index}`, { conditions: { ifNoneMatch: ['*'] } }),
  )
  const answers = await Promise.all(puts)
  const winners = answers.flatMap((answer) => (answer.kind === 'done' ? [answer.version] : []))
  t.equal(winners.length, 1)
  t.strictSame(await store.get('lock'), winners[0])
  const refusals = answers.filter(({ kind }) => kind !== 'done')
  for (const refusal of refusals) {
    t.strictSame(refusal, { kind: 'condition-failed', condition: 'If-None-Match' })
  }
})

t.test('a chain of If-Match at once is decided in the order of arrival', async (t) => {
  const { store } = await openFixture()
  const answers = await Promise.all([
    store.put('k', 'a'),
    store.put('k', 'b', { conditions: { ifMatch: ['a'] } }),
    store.put('k', 'c', { conditions: { ifMatch: ['b'] } }),
    store.delete('k', { ifMatch: ['c'] }),
    store.put('k', 'd', { conditions: { ifMatch: ['*'] } }),
  ])
  t.strictSame(
    answers.map(({ kind }) => kind),
    ['done', 'done', 'done', 'done', 'missing'],
  )
})

t.test('commands are decided before those ahead of them are durable', async (t) => {
  const { store, log } = await openFixture()
  log.hold()
  let answered = 0
  const puts = Array.from({ length: 50 }, async (_, index) => {
    await store.put(`k${index % 5}`, `e${index}`)
    answered += 1
  })
  await waitFor(() => log.waiting === 50)
  t.equal(answered, 0, 'nothing is answered before it is durable')
  log.release(10)
  await settle()
  t.equal(answered, 10)
  log.release()
  await Promise.all(puts)
  t.match(await store.get('k4'), { etag: 'e49' })
})

t.test('a refusal that rests on a pending write waits for it', async (t) => {
  const { store, log } = await openFixture()
  log.hold()
  const put = store.put('k', 'a')
  const refused = store.put('k', 'b', { conditions: { ifNoneMatch: ['*'] } })
  put.catch(() => {})
  refused.catch(() => {})
  await waitFor(() => log.waiting === 1)
  await settle()
  log.fail()
  await t.rejects(put, MetadataUnavailable)
  await t.rejects(refused, MetadataUnavailable)
})

t.test('a failed append closes the partition for writes, not for reads', async (t) => {
  const { store, log } = await openFixture()
  await store.put('old', 'a')
  log.hold()
  const pending = [store.put('x', 'b'), store.put('y', 'c')]
  for (const put of pending) put.catch(() => {})
  await waitFor(() => log.waiting === 2)
  log.release(1)
  await pending[0]
  log.fail()
  await t.rejects(pending[1]!, MetadataUnavailable)
  await t.rejects(store.put('z', 'd'), { code: 'METADATA_UNAVAILABLE' })
  await t.rejects(store.delete('missing'), MetadataUnavailable)
  t.strictSame(await store.keys(), ['old', 'x'])
  t.match(await store.get('old'), { etag: 'a' })
})

t.test('a read of a key with a pending write waits for its fate; others do not', async (t) => {
  const { store, log, partition } = await openFixture()
  await store.put('other', 'o')
  log.hold()
  const put = store.put('k', 'a')
  await waitFor(() => log.waiting === 1)
  let isRead = false
  const read = store.get('k').then((version) => {
    isRead = true
    return version
  })
  const scan = partition.scanObjects(everything)
  t.match(await store.get('other'), { etag: 'o' })
  await settle()
  t.equal(isRead, false)
  log.resume()
  t.match(await read, { etag: 'a' })
  t.match(await scan, { entries: [{ key: 'k' }, { key: 'other' }], more: false })
  await put
})

t.test('more commands than may wait are refused', async (t) => {
  const { store, log } = await openFixture({ pendingMax: 2, waitingMax: 3 })
  log.hold()
  const puts = Array.from({ length: 6 }, (_, index) => store.put(`k${index}`, 'e'))
  await t.rejects(puts[5]!, { code: 'OVERLOADED' })
  await waitFor(() => log.waiting === 2)
  log.resume()
  t.equal((await Promise.all(puts.slice(0, 5))).length, 5)
})

t.test('what was sent before a recovery is not refused, for it may have been done', async (t) => {
  const log = new MemoryLog()
  await log.append([{ key: RECOVERED_KEY, value: encodeRecoveredRow(START_MS - 1) }])
  const admit = (): never => {
    throw new Overloaded('the drives are full')
  }
  const { store } = await openFixture({ admit }, log)
  await t.rejects(store.put('k', 'new'), { code: 'OVERLOADED' })
  const commandId = uidAt(START_MS - 1)
  await t.rejects(store.put('k', 'old', { commandId }), { code: 'METADATA_UNAVAILABLE' })
  const full = await openFixture({ pendingMax: 1, waitingMax: 1 }, log)
  log.hold()
  const puts = [full.store.put('a', 'new'), full.store.put('b', 'new')]
  await t.rejects(full.store.put('c', 'new'), { code: 'OVERLOADED' })
  await t.rejects(full.store.put('d', 'old', { commandId }), { code: 'METADATA_UNAVAILABLE' })
  log.resume()
  await Promise.all(puts)
})

t.test('what was done before is answered as it was, also when no more is taken', async (t) => {
  let isFull = false
  const admit = (): void => {
    if (isFull) throw new Overloaded('a drive that it names is leaving')
  }
  const { store } = await openFixture({ admit })
  const commandId = store.uid()
  const version = store.version('a')
  const first = await store.put('k', 'a', { commandId, version })
  t.equal(first.kind, 'done')
  isFull = true
  t.same(await store.put('k', 'a', { commandId, version }), first)
  await t.rejects(store.put('k', 'b'), { code: 'OVERLOADED' })
  t.match(await store.get('k'), { etag: 'a' })
})

t.test(
  'a command that is sent for the first time is not looked up, but when it comes again it is',
  async (t) => {
    const { partition, store, log } = await openFixture()
    const asked: number[] = []
    const { get } = log.rows
    log.rows.get = (key) => {
      asked.push(key[0]!)
      return get(key)
    }
    const command = {
      ...{ kind: 'put-object' as const, bucket, key: 'k', version: store.version('a') },
      ...{ conditions: {}, commandId: store.uid() },
    }
    const first = await partition.commit(command, { isFirst: true })
    t.equal(first.kind, 'done')
    t.notOk(asked.includes(KeyKind.Answer))
    const changed = log.applied.length
    t.strictSame(await partition.commit(command), first, 'it left its answer')
    t.ok(asked.includes(KeyKind.Answer))
    t.equal(log.applied.length, changed, 'and is not done again')
  },
)

t.test('a command that is sent twice is done once and answers the same', async (t) => {
  const { store, log } = await openFixture()
  const version = store.version('a')
  const commandId = store.uid()
  const first = await store.put('k', 'a', { version, commandId })
  await store.delete('k')
  const conditions = { ifNoneMatch: ['*'] }
  t.strictSame(await store.put('k', 'a', { version, commandId, conditions }), first)
  t.equal(await store.get('k'), undefined, 'the retry does not undo the delete')

  const both = await Promise.all([
    store.put('twice', 'b', { version, commandId: 'f'.repeat(32) as typeof commandId }),
    store.put('twice', 'b', { version, commandId: 'f'.repeat(32) as typeof commandId }),
  ])
  t.strictSame(both[0], both[1])

  await store.put('gone', 'c')
  const deleteId = store.uid()
  const deleted = await store.delete('gone', {}, deleteId)
  t.match(deleted, { kind: 'done', removed: { deleteMarker: false } })
  await store.put('gone', 'd')
  t.strictSame(await store.delete('gone', {}, deleteId), deleted)
  t.match(await store.get('gone'), { etag: 'd' })
  t.equal(log.openCursors, 0)
})

t.test('a retry over a restart answers the same', async (t) => {
  const { store, log, clock } = await openFixture()
  const version = store.version('a')
  const commandId = store.uid()
  const first = await store.put('k', 'a', { version, commandId })
  const later = await openFixture({}, log.reopen(), clock)
  t.strictSame(await later.store.put('k', 'a', { version, commandId }), first)
})

t.test('an old command is refused, for its answer may be forgotten', async (t) => {
  const { store, clock } = await openFixture()
  const commandId = store.uid()
  clock.ms += 5 * 60 * 1000
  t.match(await store.put('k', 'a', { commandId }), { kind: 'done' })
  clock.ms += 1
  await t.rejects(store.put('k', 'a', { commandId }), MetadataUnavailable)
})

t.test('time and versions go forward whatever the wall clock does', async (t) => {
  const clock = new TestClock()
  const { store, log } = await openFixture({}, new MemoryLog(), clock)
  const versions = []
  for (const step of [0, 0, 5, 0]) {
    clock.ms += step
    versions.push(await store.put('k', 'a'))
  }
  await store.delete('k')
  clock.ms = START_MS - 60_000
  const later = await openFixture({}, log.reopen(), clock)
  versions.push(await later.store.put('k', 'a'))
  const made = versions.flatMap((answer) => (answer.kind === 'done' ? [answer.version] : []))
  const times = made.map(({ modifiedMs }) => modifiedMs - START_MS)
  t.strictSame(times, [0, 0, 5, 5, 5])
  const ids = made.map(({ versionId }) => versionId)
  t.strictSame(ids, [...new Set(ids)].sort().reverse(), 'later ids sort first')
  for (const id of ids) t.match(id, /^[0-9a-v]{26}$/)
})

t.test('answers are forgotten after ten minutes, some at a time', async (t) => {
  const { store, log, clock } = await openFixture()
  for (let index = 0; index < 400; index += 1) await store.put(`k${index % 7}`, 'a')
  clock.ms += 11 * 60 * 1000
  for (let index = 0; index < 300; index += 1) await store.put(`k${index % 7}`, 'a')
  t.ok(log.ofKind(KeyKind.Answer).length <= 300, 'only answers of the last minutes are left')
  t.equal(log.ofKind(KeyKind.Clock).length, 1)
})

t.test('a partition that gets no commands forgets when it is told to', async (t) => {
  const { partition, store, log, clock } = await openFixture()
  for (let index = 0; index < 200; index += 1) await store.put(`k${index % 7}`, 'a')
  const { length } = log.applied
  t.equal(await partition.forgetExpired(), 0)
  t.equal(log.applied.length, length, 'nothing to forget, nothing to write')
  clock.ms += 11 * 60 * 1000
  t.equal(await partition.forgetExpired(), 200)
  t.same(log.ofKind(KeyKind.Answer), [])
  t.equal(await partition.forgetExpired(), 0)
  await store.put('k', 'a')
  t.equal(log.ofKind(KeyKind.Answer).length, 1, 'and goes on')
})

t.test('a command that was given up is done later, and both are told', async (t) => {
  const patience = new Patience()
  const { partition, store, log } = await openFixture({ patience })
  log.hold()
  const put = store.put('k', 'a')
  put.catch(() => {}) // It is looked at below.
  await waitFor(() => log.waiting === 1)
  patience.lose()
  const error = await put.catch((thrown: MetadataUnavailable) => thrown)
  if (!(error instanceof MetadataUnavailable)) throw new Error('it was not given up')
  let isSettled = false
  const settled = partition.settle().then(() => {
    isSettled = true
  })
  await settle()
  t.notOk(isSettled, 'it may be done yet')
  log.resume()
  t.match(await error.lateEnd, { kind: 'done' })
  await settled
  t.match(await store.get('k'), { etag: 'a' })
})

t.test('nothing is settled by a log that failed, nor by one that does not go on', async (t) => {
  const patience = new Patience()
  const { partition, store, log } = await openFixture({ patience })
  log.hold()
  const put = store.put('k', 'a')
  put.catch(() => {}) // As above.
  await waitFor(() => log.waiting === 1)
  const settled = partition.settle()
  settled.catch(() => {}) // As above.
  await settle()
  patience.lose()
  await t.rejects(settled, { code: 'METADATA_UNAVAILABLE' })
  const error = await put.catch((thrown: MetadataUnavailable) => thrown)
  log.fail()
  await t.rejects((error as MetadataUnavailable).lateEnd!, { code: 'METADATA_UNAVAILABLE' })
  await t.rejects(partition.settle(), { code: 'METADATA_UNAVAILABLE' })
})

/** Ends when a test says so. */
class Patience {
  readonly ms = 30_000
  readonly #ends: (() => void)[] = []
  #nowMs = 0
  readonly clock = {
    monotonicMs: (): number => this.#nowMs,
    sleep: (): Promise<void> => new Promise((resolve) => this.#ends.push(resolve)),
  }

  lose(): void {
    this.#nowMs += this.ms
    for (const end of this.#ends.splice(0)) end()
  }
}

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits until `isTrue`, for at most many turns of the event loop. */
async function waitFor(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000 && !isTrue(); turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}
