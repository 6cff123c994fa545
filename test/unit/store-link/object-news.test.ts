// What workers keep of objects is what the store would say, whatever is under way between them.
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { AdminApi } from '../../../src/gateway/admin-api.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { ObjectChanges } from '../../../src/metadata/object-changes.ts'
import { BlobCache } from '../../../src/objects/blob-cache.ts'
import type { Bucket, ObjectStore, StoredObject } from '../../../src/objects/object-store.ts'
import { BucketNews } from '../../../src/store-link/bucket-news.ts'
import { Windows } from '../../../src/store-link/flow.ts'
import { linkStore } from '../../../src/store-link/linked-store.ts'
import { ObjectNews } from '../../../src/store-link/object-news.ts'
import { LinkServer } from '../../../src/store-link/serve-link.ts'
import { Seeded, seedOfRun } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from '../objects/memory-store.ts'
import { type SlowEnd, slowPair } from './slow-pair.ts'

const seed = seedOfRun()
const NEVER = new AbortController().signal
const ALL = { first: 0, last: 9 }

interface Workers {
  store: MemoryStore
  bucket: Bucket
  /** The store as each worker has it. */
  objects: ObjectStore[]
  caches: BlobCache[]
  /** Both ends of their links. */
  ends: [SlowEnd, SlowEnd][]
  killed: number[]
  /** Time goes on for whoever waits for a worker to hear. */
  pass(ms: number): Promise<void>
}

async function openWorkers(
  t: Test,
  {
    count = 2,
    keptMax,
    random = new Seeded(seed),
  }: { count?: number; keptMax?: number; random?: Seeded } = {},
): Promise<Workers> {
  const changes = new ObjectChanges()
  const store = await openMemoryStore(6, { onAppended: (batch) => changes.note(batch) })
  let nowMs = 0
  let sleepers: { atMs: number; wake: () => void }[] = []
  const clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (ms: number) =>
      new Promise<void>((wake) => {
        sleepers.push({ atMs: nowMs + ms, wake })
      }),
  }
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms
    const due = sleepers.filter(({ atMs }) => atMs <= nowMs)
    sleepers = sleepers.filter(({ atMs }) => atMs > nowMs)
    for (const { wake } of due) wake()
    await turn()
  }
  const news = new BucketNews({ ...store, world: realWorld(), log: silentLog })
  const objectNews = new ObjectNews(
    { ...store, changes, world: { clock }, log: silentLog },
    ...(keptMax === undefined ? [] : [keptMax]),
  )
  t.teardown(() => {
    news.stop()
    objectNews.stop()
  })
  const parts = { objects: store.objects, news, objectNews, windows: new Windows(), log: silentLog }
  const admin = { drives: {} } as unknown as AdminApi
  for (const name of ['status', 'healing', 'beginHeal', 'releaseOrphans', 'inspect'])
    Object.assign(admin, { [name]: async () => name })
  for (const name of ['list', 'add', 'replace', 'drain', 'weigh', 'remove'])
    Object.assign(admin.drives, { [name]: async () => name })
  const credentials = { accessKeyId: 'KEY', secretAccessKey: 'secret' }
  const killed: number[] = []
  const ends = Array.from({ length: count }, () => slowPair(random))
  const caches = ends.map(() => new BlobCache())
  const linked = await Promise.all(
    ends.map(([near, far], at) => {
      const kill = (): void => {
        killed.push(at)
      }
      new LinkServer(far, { ...parts, admin, credentials, kill, world: realWorld() })
      t.teardown(() => near.destroy())
      return linkStore(near, { ...realWorld(), onEnd: () => {}, blobCache: caches[at]! })
    }),
  )
  const objects = linked.map((one) => one.objects)
  return { store, bucket: store.bucket, objects, caches, ends, killed, pass }
}

/** Writes an object of ten bytes that says so. */
async function put(objects: ObjectStore, bucket: Bucket, key: string, says: number): Promise<void> {
  const attributes = {
    headers: {},
    userMetadata: { says: `${says}` },
    storageClass: 'STANDARD' as const,
  }
  const body = bodyOf(Buffer.from(`${says}`.padStart(10, '0')))
  const answer = await objects.put({
    ...{ bucket, key, attributes, conditions: {}, body, signal: NEVER },
  })
  if (answer.kind !== 'done') throw new Error(answer.kind)
}

function saysOf(object: StoredObject): number {
  return Number(object.version.userMetadata.says)
}

async function find(objects: ObjectStore, bucket: Bucket, key: string): Promise<StoredObject> {
  const outcome = await objects.find(bucket, key)
  if (outcome.kind !== 'found') throw new Error(outcome.kind)
  return outcome.object
}

t.test('what was found is at hand until it changes', async (t) => {
  const { objects, bucket } = await openWorkers(t)
  const [one, other] = objects as [ObjectStore, ObjectStore]
  await put(one, bucket, 'k', 1)
  t.equal(other.findAtHand!(bucket, 'k'), undefined)
  t.equal(saysOf(await find(other, bucket, 'k')), 1)
  t.equal(saysOf(other.findAtHand!(bucket, 'k')!), 1)
  t.equal(one.findAtHand!(bucket, 'k'), undefined, 'nobody asked there')
  t.equal(await find(other, bucket, 'k'), other.findAtHand!(bucket, 'k'), 'and is not asked for')
  const changes: [string, () => Promise<unknown>][] = [
    ['overwritten', () => put(one, bucket, 'k', 2)],
    [
      'tagged',
      () => one.edit(bucket, 'k', undefined, { what: 'tags', tags: [{ key: 'a', value: 'b' }] }),
    ],
    ['deleted', () => one.delete(bucket, 'k', { conditions: {} })],
  ]
  for (const [what, change] of changes) {
    await find(other, bucket, 'k')
    t.ok(other.findAtHand!(bucket, 'k'))
    await change()
    t.equal(other.findAtHand!(bucket, 'k'), undefined, what)
  }
  t.same(await other.find(bucket, 'k'), { kind: 'missing' })
  await put(one, bucket, 'k', 3)
  await find(other, bucket, 'k')
  t.same(
    (await one.deleteMany(bucket, [{ key: 'k', conditions: {} }], {}, NEVER)).map(
      ({ kind }) => kind,
    ),
    ['done'],
  )
  t.equal(other.findAtHand!(bucket, 'k'), undefined, 'deleted with others')
})

t.test(
  'bytes that are read again and again are at hand, those that are encrypted are not',
  async (t) => {
    const { objects, bucket, caches } = await openWorkers(t, { count: 1 })
    const [one] = objects as [ObjectStore]
    await put(one, bucket, 'k', 7)
    for (const round of [1, 2, 3]) {
      const object = await find(one, bucket, 'k')
      t.equal(object.readAtHand!(ALL) !== undefined, round === 3, `round ${round}`)
      const bytes = await collect(object.read(ALL, { signal: NEVER }))
      t.equal(bytes.toString(), '0000000007')
    }
    const object = await find(one, bucket, 'k')
    t.equal(Buffer.from(object.readAtHand!({ first: 9, last: 9 })!).toString(), '7')
    t.same(caches[0]!.counts, { hits: 3, misses: 2 })
    const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' as const }
    await one.put({
      ...{ bucket, key: 'sealed', attributes, conditions: {}, signal: NEVER },
      ...{ body: bodyOf(Buffer.alloc(10, 'x')), encryption: { kind: 'SSE-S3' } },
    })
    const sealed = await find(one, bucket, 'sealed')
    for (let round = 0; round < 3; round += 1) {
      t.equal((await collect(sealed.read(ALL, { signal: NEVER }))).toString(), 'xxxxxxxxxx')
      t.equal(sealed.readAtHand!(ALL), undefined)
    }
    t.same(caches[0]!.counts, { hits: 3, misses: 2 })
  },
)

t.test(
  'what the clients of one worker read again and again comes to another one as it is found',
  async (t) => {
    const { objects, bucket, caches } = await openWorkers(t)
    const [one, other] = objects as [ObjectStore, ObjectStore]
    for (const key of ['often', 'once']) await put(one, bucket, key, 7)
    const rounds = ['often', 'often', 'often', 'once']
    for (const key of rounds) {
      const object = await find(one, bucket, key)
      await collect(object.read(ALL, { signal: NEVER }))
    }
    // The first worker kept it at its second read, and so did the store: who asks that is told the bytes as well.
    for (const key of ['often', 'once']) {
      const object = await find(other, bucket, key)
      const atHand = object.readAtHand!(ALL)
      t.equal(atHand && Buffer.from(atHand).toString(), key === 'often' ? '0000000007' : undefined)
    }
    t.same(caches[1]!.counts, { hits: 1, misses: 0 })
    await put(one, bucket, 'often', 8)
    const object = await find(other, bucket, 'often')
    t.equal((await collect(object.read(ALL, { signal: NEVER }))).toString(), '0000000008')
  },
)

t.test('who keeps many forgets the oldest', async (t) => {
  const { objects, bucket } = await openWorkers(t, { keptMax: 32 })
  const [one, other] = objects as [ObjectStore, ObjectStore]
  const keys = Array.from({ length: 40 }, (_, at) => `k${at}`)
  for (const key of keys) await put(one, bucket, key, 1)
  for (const key of keys) await find(other, bucket, key)
  // What was told to be forgotten is heard by now.
  await put(one, bucket, 'last', 1)
  await find(other, bucket, 'last')
  const kept = keys.filter((key) => other.findAtHand!(bucket, key) !== undefined)
  t.ok(kept.length <= 32 && kept.length >= 24, `${kept.length} are kept`)
  t.same(kept, keys.slice(-kept.length))
  for (const key of keys) await put(one, bucket, key, 2)
  for (const key of keys) t.equal(other.findAtHand!(bucket, key), undefined)
})

t.test(
  'nobody is answered by what others have not heard, and only who asked for that waits',
  async (t) => {
    const { store, objects, bucket, ends } = await openWorkers(t, { count: 3 })
    const [one, other, third] = objects as [ObjectStore, ObjectStore, ObjectStore]
    await put(one, bucket, 'k', 1)
    await put(one, bucket, 'l', 1)
    await find(other, bucket, 'k')
    await find(third, bucket, 'k')
    const [, far] = ends[1]!
    far.hold()
    const answered: string[] = []
    const note = (what: string, answer: Promise<unknown>) => answer.then(() => answered.push(what))
    const waiting = [note('put', put(one, bucket, 'k', 2))]
    while (saysOf(await find(store.objects, bucket, 'k')) !== 2) await turn()
    waiting.push(
      note('find', one.find(bucket, 'k')),
      note('list', one.list({ bucket, prefix: '', delimiter: '', after: '', limit: 9 })),
    )
    await note('another', put(one, bucket, 'l', 2))
    await note('found', one.find(bucket, 'l'))
    t.equal(saysOf(other.findAtHand!(bucket, 'k')!), 1, 'which is right: nobody was told')
    await settle()
    t.equal(third.findAtHand!(bucket, 'k'), undefined, 'one that heard is not enough')
    t.same(answered, ['another', 'found'])
    far.release()
    await Promise.all(waiting)
    t.same(answered.slice(2).sort(), ['find', 'list', 'put'])
    t.equal(other.findAtHand!(bucket, 'k'), undefined)
  },
)

t.test('a row that can not be read is asked for in earnest', async (t) => {
  const { store, objects, bucket } = await openWorkers(t, { count: 1 })
  const [one] = objects as [ObjectStore]
  await put(one, bucket, 'k', 1)
  store.objects.findAtHand = () => {
    throw new Error('it is of no format that is known')
  }
  t.equal(saysOf(await find(one, bucket, 'k')), 1)
  t.equal(one.findAtHand!(bucket, 'k'), undefined)
})

for (const ends of [true, false]) {
  const how = ends ? 'and is gone' : 'and does not end'
  t.test(`a worker that does not hear is killed, ${how}`, async (t) => {
    const { objects, bucket, ends: links, killed, pass } = await openWorkers(t)
    const [one, other] = objects as [ObjectStore, ObjectStore]
    await put(one, bucket, 'k', 1)
    await find(other, bucket, 'k')
    const [near, far] = links[1]!
    far.hold()
    let isDone = false
    const writing = put(one, bucket, 'k', 2).then(() => {
      isDone = true
    })
    await settle()
    await pass(60_000)
    t.same(killed, [], 'all stood still together')
    for (let seconds = 1; seconds < 9; seconds += 1) await pass(1_000)
    t.same(killed, [])
    await pass(1_000)
    t.same(killed, [1])
    await settle()
    t.notOk(isDone, 'it may not be dead yet')
    if (ends) near.destroy()
    else for (let seconds = 0; seconds < 10; seconds += 1) await pass(1_000)
    await writing
    t.same(killed, [1])
    await put(one, bucket, 'k', 3)
    if (ends) t.equal(other.findAtHand!(bucket, 'k'), undefined)
  })
}

async function settle(): Promise<void> {
  for (let turns = 0; turns < 100; turns += 1) await turn()
}

/** One who writes counts up; whoever reads sees what was written last, or what is being written. */
interface Count {
  acknowledged: number
  begun: number
  /** The highest that anybody has read to its end. */
  seen: number
}

t.test(`any worker answers as one store would (SEED=${seed})`, async (t) => {
  const ROUNDS = 12
  let atHand = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const random = new Seeded(seed + round)
    const { objects, bucket } = await openWorkers(t, { count: 3, keptMax: 8, random })
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l']
    const counts = new Map<string, Count>(
      keys.map((key) => [key, { acknowledged: 0, begun: 0, seen: 0 }]),
    )
    for (const key of keys) {
      await put(objects[0]!, bucket, key, 1)
      Object.assign(counts.get(key)!, { acknowledged: 1, begun: 1 })
    }
    const troubles: string[] = []
    let isOver = false
    const look = (key: string, says: number, least: number): void => {
      const count = counts.get(key)!
      if (says < least || says > count.begun)
        troubles.push(`${key}: read ${says}, not ${least} to ${count.begun}`)
      count.seen = Math.max(count.seen, says)
    }
    const write = async (key: string): Promise<void> => {
      const count = counts.get(key)!
      while (!isOver) {
        count.begun += 1
        await put(random.pick(objects), bucket, key, count.begun)
        count.acknowledged = count.begun
        const turns = random.below(40)
        for (let passed = 0; passed < turns; passed += 1) await turn()
      }
    }
    const read = async (worker: ObjectStore): Promise<void> => {
      while (!isOver) {
        const key = random.pick(keys)
        const { acknowledged, seen } = counts.get(key)!
        const least = Math.max(acknowledged, seen)
        const object = worker.findAtHand!(bucket, key)
        if (object !== undefined) {
          atHand += 1
          look(key, saysOf(object), least)
        } else {
          const found = await worker.find(bucket, key)
          look(key, found.kind === 'found' ? saysOf(found.object) : 0, least)
        }
        if (random.below(3) === 0) await turn()
      }
    }
    const all = [
      ...keys.slice(0, 4).map(write),
      ...objects.flatMap((one) => [read(one), read(one)]),
    ]
    for (let turns = 0; turns < 1_000; turns += 1) await turn()
    isOver = true
    await Promise.all(all)
    t.same(troubles.slice(0, 3), [], `seed ${seed + round}`)
    t.ok(counts.get('a')!.acknowledged > 5, 'it was written meanwhile')
  }
  t.ok(atHand > 100 * ROUNDS, `${atHand} reads asked nobody`)
})
