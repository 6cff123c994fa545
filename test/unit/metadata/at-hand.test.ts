// What a partition answers without waiting: never anything but what getObject() would say in that moment.
import t from 'tap'
import { MemoryLog } from './memory-log.ts'
import { bucket, openFixture } from './partition-fixture.ts'

t.test('the latest version, once it is durable', async (t) => {
  const { store, log, partition } = await openFixture()
  t.equal(partition.getAtHand?.(bucket, 'k'), undefined, 'no such key: getObject() says so')
  await store.put('k', 'a')
  t.strictSame(partition.getAtHand?.(bucket, 'k'), await store.get('k'))
  log.hold()
  const put = store.put('k', 'b')
  while (log.waiting === 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(partition.getAtHand?.(bucket, 'k'), undefined, 'nobody knows yet which it is')
  log.release()
  await put
  t.match(partition.getAtHand?.(bucket, 'k'), { etag: 'b' }, 'as soon as the writer is told')
})

t.test('in every moment of many writes it is what was acknowledged last', async (t) => {
  const { store, partition } = await openFixture()
  for (let round = 0; round < 50; round += 1) {
    await store.put('k', `e${round}`)
    t.match(partition.getAtHand?.(bucket, 'k'), { etag: `e${round}` })
    if (round % 7 !== 3) continue
    await store.delete('k')
    t.equal(partition.getAtHand?.(bucket, 'k'), undefined, 'what was deleted is not at hand')
  }
})

t.test('a delete marker is for getObject() to tell of', async (t) => {
  const { store, partition } = await openFixture()
  store.setVersioning('enabled')
  await store.put('k', 'a')
  t.match(partition.getAtHand?.(store.bucket, 'k'), { etag: 'a' })
  await store.delete('k')
  t.equal(partition.getAtHand?.(store.bucket, 'k'), undefined)
  t.match(await store.get('k'), { deleteMarker: true })
})

t.test(
  'a bucket that is older than the partition knows, or gone, has nothing at hand',
  async (t) => {
    const { store, partition } = await openFixture()
    await store.put('k', 'a')
    await store.setBucket('live', 3)
    t.equal(partition.getAtHand?.({ ...bucket, revision: 2 }, 'k'), undefined)
    t.match(partition.getAtHand?.({ ...bucket, revision: 3 }, 'k'), { etag: 'a' })
    await store.setBucket('frozen', 4)
    t.match(
      partition.getAtHand?.({ ...bucket, revision: 4 }, 'k'),
      { etag: 'a' },
      'freezing may end',
    )
    await store.setBucket('live', 5)
    store.bucket = { ...bucket, revision: 5 }
    await store.delete('k')
    await store.setBucket('frozen', 6)
    await store.dropBucket(6)
    t.equal(partition.getAtHand?.({ ...bucket, revision: 6 }, 'k'), undefined)
  },
)

t.test('nothing is where others may lead: the log has to be sure first', async (t) => {
  const log = Object.assign(new MemoryLog(), { confirm: async () => {} })
  const { store, partition } = await openFixture({}, log)
  await store.put('k', 'a')
  t.equal(partition.getAtHand, undefined)
})
