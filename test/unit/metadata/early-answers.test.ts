// Commands that are answered when they are durable, before their rows can be read: whoever reads what they changed waits.
import t from 'tap'
import { bucket, everything, openFixture } from './partition-fixture.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Whether `work` has ended some turns of the event loop later. */
async function hasEnded(work: Promise<unknown>): Promise<boolean> {
  let ended = false
  const end = (): void => {
    ended = true
  }
  work.then(end, end)
  for (let turns = 0; turns < 20; turns += 1) await turn()
  return ended
}

t.test(
  'a put and a delete are answered when they are durable, and what is read is theirs',
  async (t) => {
    const { store, log, partition } = await openFixture()
    await store.put('k', 'a')
    await store.get('k')
    log.hold()
    const put = store.put('k', 'b')
    t.notOk(await hasEnded(put), 'not while it could be lost')
    log.tellDurable()
    t.match(await put, { kind: 'done' })
    t.equal(partition.getAtHand?.(bucket, 'k'), undefined, 'the older version is not at hand')
    const [hurries, read, page] = [
      log.hurries,
      store.get('k'),
      partition.scanObjects(everything),
    ] as const
    t.notOk(await hasEnded(read))
    t.notOk(await hasEnded(page))
    t.ok(log.hurries > hurries, 'the log hears that somebody waits')

    const deleted = store.delete('k')
    t.notOk(await hasEnded(deleted))
    log.tellDurable()
    t.match(await deleted, { kind: 'done' }, 'decided upon what can not be read yet')
    log.release(1)
    t.match(await read, { etag: 'b' }, 'as it was when it was asked')
    log.resume()
    await page
    t.equal(await store.get('k'), undefined)
  },
)

t.test('what could be read without waiting for rows is answered when it can be read', async (t) => {
  const { store, log, partition } = await openFixture()
  log.hold()
  const frozen = { ...bucket, revision: 2 }
  const commandId = store.uid()
  const set = partition.commit({ kind: 'set-bucket', commandId, bucket: frozen, state: 'frozen' })
  await turn()
  log.tellDurable()
  t.notOk(await hasEnded(set))
  log.resume()
  t.match(await set, { kind: 'done' })
})

t.test('a refusal waits until what it rests on is durable', async (t) => {
  const { store, log } = await openFixture()
  log.hold()
  const put = store.put('k', 'a')
  const refused = store.put('k', 'b', { conditions: { ifNoneMatch: ['*'] } })
  t.notOk(await hasEnded(refused))
  log.tellDurable()
  t.match(await refused, { kind: 'condition-failed' })
  t.match(await put, { kind: 'done' })
  log.resume()
})

t.test(
  'a log that fails later leaves what was answered, and takes and shows no more',
  async (t) => {
    const { store, log } = await openFixture()
    log.hold()
    const put = store.put('k', 'a')
    while (log.waiting === 0) await turn()
    log.tellDurable()
    await put
    log.fail()
    await t.rejects(store.put('k', 'b'), { code: 'METADATA_UNAVAILABLE' })
  },
)

t.test('commands that wait for their rows are bounded', async (t) => {
  const { store, log } = await openFixture({ pendingMax: 3 })
  log.hold()
  const puts = Array.from({ length: 5 }, (_, at) => store.put(`k${at}`, 'a'))
  for (let turns = 0; turns < 20; turns += 1) await turn()
  t.equal(log.waiting, 3)
  log.tellDurable()
  await Promise.all(puts.slice(0, 3))
  for (let turns = 0; turns < 20; turns += 1) await turn()
  t.equal(log.waiting, 3, 'the others wait until rows can be read')
  log.resume()
  await Promise.all(puts)
})
