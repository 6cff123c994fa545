// A store over a link: what a worker does is what the store does, and what breaks off there breaks off here.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { AdminApi } from '../../../src/gateway/admin-api.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { ObjectChanges } from '../../../src/metadata/object-changes.ts'
import { BlobCache } from '../../../src/objects/blob-cache.ts'
import type { Body, FindOutcome, StoredObject } from '../../../src/objects/object-store.ts'
import { BucketNews } from '../../../src/store-link/bucket-news.ts'
import { Windows } from '../../../src/store-link/flow.ts'
import { type LinkedStore, linkStore } from '../../../src/store-link/linked-store.ts'
import { ObjectNews } from '../../../src/store-link/object-news.ts'
import { LinkServer } from '../../../src/store-link/serve-link.ts'
import { Seeded, seedOfRun } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from '../objects/memory-store.ts'
import { socketPair } from './socket-pair.ts'

const random = new Seeded(seedOfRun())
const world = realWorld()
const credentials = { accessKeyId: 'KEY', secretAccessKey: 'secret' }
const ATTRIBUTES = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' as const }
const NEVER = new AbortController().signal

interface Linked {
  store: MemoryStore
  linked: LinkedStore
  socket: Socket
  ended: Promise<void>
}

interface News {
  store: MemoryStore
  news: BucketNews
  objectNews: ObjectNews
}

async function openNews(t: Test, { clock } = world): Promise<News> {
  const changes = new ObjectChanges()
  const store = await openMemoryStore(6, { onAppended: (batch) => changes.note(batch) })
  const parts = { ...store, changes, world: { clock }, log: silentLog }
  const news = new BucketNews(parts)
  const objectNews = new ObjectNews(parts)
  t.teardown(() => {
    news.stop()
    objectNews.stop()
  })
  return { store, news, objectNews }
}

async function link(t: Test, opened: News): Promise<Linked> {
  const [near, far] = await socketPair(t)
  serveLink(far, opened)
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const linked = await linkStore(near, { ...world, onEnd: end, blobCache: new BlobCache() })
  return { store: opened.store, linked, socket: near, ended }
}

function serveLink(far: Socket, { store, news, objectNews }: News): void {
  const windows = new Windows()
  const admin = {
    status: async () => ({ health: 'healthy' }),
    inspect: async (request: unknown, signal: AbortSignal) => ({
      request,
      aborted: signal.aborted,
    }),
    drives: { drain: async (request: unknown) => ({ kind: 'refused', sentence: `${request}` }) },
  } as unknown as AdminApi
  for (const name of ['healing', 'beginHeal', 'releaseOrphans'] as const)
    Object.assign(admin, { [name]: async () => name })
  for (const name of ['list', 'add', 'replace', 'weigh', 'remove'] as const)
    Object.assign(admin.drives, { [name]: async () => name })
  new LinkServer(far, {
    ...{ objects: store.objects, admin, credentials, news, objectNews, windows, log: silentLog },
    ...{ world, kill: () => far.emit('killed') },
  })
}

function found(outcome: FindOutcome): StoredObject {
  if (outcome.kind !== 'found') throw new Error(outcome.kind)
  return outcome.object
}

t.test('objects of every size are written, found, read and deleted', async (t) => {
  const opened = await openNews(t)
  const { linked, store } = await link(t, opened)
  t.same(linked.credentials, credentials)
  const { objects } = linked
  const bucket = objects.findBucket('bucket')!
  t.same(bucket, store.bucket)
  for (const bytes of [0, 1, 65_536, 65_537, 200_000, 3_000_000]) {
    const key = `k${bytes}`
    const body = Buffer.from(random.bytes(bytes))
    const put = await objects.put({
      ...{ bucket, key, attributes: ATTRIBUTES, conditions: {}, body: bodyOf(body) },
      signal: NEVER,
    })
    t.equal(put.kind, 'done', key)
    const object = found(await objects.find(bucket, key))
    t.equal(object.version.bytes, bytes)
    t.ok(await object.isUnchanged())
    if (bytes === 0) continue
    const last = bytes - 1
    const read = await collect(object.read({ first: 0, last }, { signal: NEVER }))
    t.ok(read.equals(body), 'all of it')
    const first = random.below(bytes)
    const part = await collect(object.read({ first, last }, { signal: NEVER }))
    t.ok(part.equals(body.subarray(first)), 'a range')
  }
  const listed = await objects.list({ bucket, prefix: '', delimiter: '', after: '', limit: 100 })
  t.equal(listed.entries.length, 6)
  t.equal((await objects.delete(bucket, 'k1', { conditions: {} })).kind, 'done')
  t.equal((await objects.find(bucket, 'k1')).kind, 'missing')
})

t.test(
  'a short body comes with its call, in however many chunks it was, and no signal is made',
  async (t) => {
    const { linked } = await link(t, await openNews(t))
    const { objects } = linked
    const bucket = objects.findBucket('bucket')!
    class Put {
      readonly bucket = bucket
      readonly attributes = ATTRIBUTES
      readonly conditions = {}
      readonly key: string
      readonly body: Body
      constructor(key: string, body: Body) {
        this.key = key
        this.body = body
      }
      get signal(): AbortSignal {
        throw new Error('somebody asked for a signal')
      }
    }
    for (const bytes of [1, 2, 5_000, 16_384, 65_536]) {
      const body = Buffer.from(random.bytes(bytes))
      for (const chunkBytes of [1, 17_000, 1 + random.below(bytes), bytes]) {
        const key = `${bytes}/${chunkBytes}`
        await objects.put(new Put(key, bodyOf(body, chunkBytes)))
        const object = found(await objects.find(bucket, key))
        const range = { first: 0, last: bytes - 1 }
        t.ok((await collect(object.read(range, { signal: NEVER }))).equals(body), key)
      }
    }
  },
)

t.test(
  'of a short object and of a long one every range is what it is, whole or by and by',
  async (t) => {
    const { linked, store } = await link(t, await openNews(t))
    const { objects } = linked
    const bucket = objects.findBucket('bucket')!
    const body = Buffer.from(random.bytes(300_000))
    const request = { bucket, key: 'k', attributes: ATTRIBUTES, conditions: {}, signal: NEVER }
    await objects.put({ ...request, body: bodyOf(body) })
    const object = found(await objects.find(bucket, 'k'))
    for (const [first, bytes] of [
      [0, 1],
      [299_999, 1],
      [131_000, 65_536],
      [131_000, 65_537],
      [0, 300_000],
    ] as const) {
      const range = { first, last: first + bytes - 1 }
      const read = await collect(object.read(range, { signal: NEVER }))
      t.ok(read.equals(body.subarray(first, first + bytes)), `${bytes} from ${first}`)
    }
    for (let id = 1; id <= 6; id += 1) store.node.failed.add(id)
    for (const last of [9, 299_999])
      await t.rejects(collect(object.read({ first: 0, last }, { signal: NEVER })), {
        code: 'SHARDS_AWAY',
      })
  },
)

t.test('encrypted with a key of the client; a copy brings annotations along', async (t) => {
  const { linked } = await link(t, await openNews(t))
  const { objects } = linked
  const bucket = objects.findBucket('bucket')!
  const customerKey = { key: random.bytes(32), keyMd5: 'md5' }
  const secret = Buffer.from(random.bytes(300_000))
  const rest = { bucket, attributes: ATTRIBUTES, conditions: {}, signal: NEVER }
  const encryption = { kind: 'SSE-C' as const, customerKey }
  await objects.put({ ...rest, key: 'secret', encryption, body: bodyOf(secret) })
  const object = found(await objects.find(bucket, 'secret'))
  const range = { first: 0, last: secret.length - 1 }
  t.ok((await collect(object.read(range, { signal: NEVER }, customerKey))).equals(secret))
  await t.rejects(
    collect(object.read(range, { signal: NEVER }, { ...customerKey, key: random.bytes(32) })),
    {
      code: 'CUSTOMER_KEY_WRONG',
    },
  )

  await objects.put({ ...rest, key: 'plain', body: bodyOf(secret) })
  const source = found(await objects.find(bucket, 'plain'))
  const text = Buffer.from('an annotation')
  const { version } = source
  await objects.annotate({
    ...{ bucket, key: 'plain', version, name: 'n', body: bodyOf(text), signal: NEVER },
  })
  const annotated = found(await objects.find(bucket, 'plain'))
  await objects.put({
    ...{ ...rest, ...annotated.describeAgain(), key: 'copy', body: bodyOf(secret) },
  })
  const copy = found(await objects.find(bucket, 'copy'))
  const note = await copy.findAnnotation('n')
  t.ok((await collect(copy.readAnnotation(note!, NEVER))).equals(text))
  t.equal(await copy.findAnnotation('m'), undefined)
})

t.test('an annotation that is replaced once it was found is read as it was found', async (t) => {
  const { linked } = await link(t, await openNews(t))
  const { objects } = linked
  const bucket = objects.findBucket('bucket')!
  const rest = { bucket, key: 'k', signal: NEVER }
  await objects.put({
    ...rest,
    attributes: ATTRIBUTES,
    conditions: {},
    body: bodyOf(Buffer.alloc(9)),
  })
  const { version } = found(await objects.find(bucket, 'k'))
  const annotate = (text: string) =>
    objects.annotate({ ...rest, version, name: 'n', body: bodyOf(Buffer.from(text)) })
  await annotate('first')
  const object = found(await objects.find(bucket, 'k'))
  const first = await object.findAnnotation('n')
  await annotate('other')
  t.equal((await collect(object.readAnnotation(first!, NEVER))).toString(), 'first')
  await objects.deleteAnnotation(bucket, 'k', { name: 'n' })
  t.equal((await collect(object.readAnnotation(first!, NEVER))).toString(), 'first')
})

t.test('a body that is not what was claimed leaves nothing, and says why', async (t) => {
  const { linked, store } = await link(t, await openNews(t))
  const bucket = linked.objects.findBucket('bucket')!
  const wrong = new Error('the digest differs')
  for (const bytes of [10, 1_000_000]) {
    const good = bodyOf(random.bytes(bytes))
    const bodies: Body[] = [
      {
        ...good,
        finish: () => {
          throw wrong
        },
      },
      { ...good, chunks: breakingOff(bytes / 2, wrong) },
    ]
    for (const body of bodies) {
      const putting = linked.objects.put({
        ...{ bucket, key: 'k', attributes: ATTRIBUTES, conditions: {}, body, signal: NEVER },
      })
      await t.rejects(putting, wrong)
    }
  }
  t.equal((await store.objects.find(store.bucket, 'k')).kind, 'missing')
})

t.test('a body that is shorter than it says is no object, whoever failed to notice', async (t) => {
  const { linked, store } = await link(t, await openNews(t))
  const bucket = linked.objects.findBucket('bucket')!
  for (const [bytes, there] of [
    [5_000, 4_999],
    [5_000, 0],
    [1_000_000, 999_999],
  ] as const) {
    const body: Body = { ...bodyOf(random.bytes(there), 1_700), bytes }
    const asked = { bucket, key: 'k', attributes: ATTRIBUTES, conditions: {}, signal: NEVER }
    await t.rejects(linked.objects.put({ ...asked, body }), `${there} of ${bytes}`)
  }
  t.equal((await store.objects.find(store.bucket, 'k')).kind, 'missing')
})

async function* breakingOff(bytes: number, error: Error): AsyncGenerator<Uint8Array> {
  yield random.bytes(bytes)
  throw error
}

t.test('errors of the store keep what they are known by', async (t) => {
  const { linked, store } = await link(t, await openNews(t))
  const bucket = linked.objects.findBucket('bucket')!
  for (const id of store.node.drives.keys()) store.node.full.add(id)
  for (let id = 1; id <= 6; id += 1) store.node.failed.add(id)
  const body = bodyOf(random.bytes(1_000_000))
  const request = { bucket, key: 'k', attributes: ATTRIBUTES, conditions: {}, signal: NEVER }
  const here = await linked.objects.put({ ...request, body }).catch((error) => error)
  const again = bodyOf(random.bytes(1_000_000))
  const there = await store.objects.put({ ...request, body: again }).catch((error) => error)
  t.ok(there.code)
  for (const name of ['code', 'name', 'message', 'trouble'] as const)
    t.equal(here[name], there[name], name)
})

t.test('a rename that one worker did is known to all', async (t) => {
  const opened = await openNews(t)
  const [one, other] = [await link(t, opened), await link(t, opened)]
  const rename = { bucketId: opened.store.bucket.id, source: 'a', target: 'b' }
  t.equal(await other.linked.objects.recallRename('token', rename), 'unknown')
  await one.linked.objects.noteRename('token', rename)
  t.equal(await other.linked.objects.recallRename('token', rename), 'done')
  const another = { ...rename, target: 'c' }
  t.equal(await other.linked.objects.recallRename('token', another), 'another')
})

t.test(
  'a write that its client gave up ends in the store; one whose worker died does too',
  async (t) => {
    const opened = await openNews(t)
    const { linked } = await link(t, opened)
    const dying = await link(t, opened)
    const bucket = linked.objects.findBucket('bucket')!
    for (const [name, store] of [
      ['aborted', linked],
      ['broken', dying.linked],
    ] as const) {
      const abort = new AbortController()
      let isAsked = false
      async function* hanging(): AsyncGenerator<Uint8Array> {
        yield random.bytes(300_000)
        isAsked = true
        await once(abort.signal, 'abort')
        throw new Error('the client is gone')
      }
      const body = { ...bodyOf(random.bytes(600_000)), chunks: hanging() }
      const putting = store.objects.put({
        ...{
          bucket,
          key: name,
          attributes: ATTRIBUTES,
          conditions: {},
          body,
          signal: abort.signal,
        },
      })
      while (!isAsked) await sleep(5)
      if (name === 'broken') dying.socket.destroy()
      else abort.abort(new Error('the client is gone'))
      await t.rejects(putting, name)
      if (name === 'broken') abort.abort()
      while (opened.store.parts.writes.underWay().length > 0) await sleep(5)
      t.equal((await opened.store.objects.find(bucket, name)).kind, 'missing')
    }
    await dying.ended
    await t.rejects(dying.linked.objects.find(bucket, 'k'), { code: 'METADATA_UNAVAILABLE' })
  },
)

t.test('a reader that goes on slowly holds the store up; one that leaves lets go', async (t) => {
  const { linked, store } = await link(t, await openNews(t))
  const bucket = linked.objects.findBucket('bucket')!
  const bytes = Buffer.from(random.bytes(8_000_000))
  const request = { bucket, key: 'k', attributes: ATTRIBUTES, conditions: {}, signal: NEVER }
  await linked.objects.put({ ...request, body: bodyOf(bytes) })
  const object = found(await linked.objects.find(bucket, 'k'))
  const { uid } = object.version.blob!
  const reading = object.read({ first: 0, last: bytes.length - 1 }, { signal: NEVER })
  let seen = 0
  for await (const chunk of reading) {
    t.ok(bytes.subarray(seen, seen + chunk.length).equals(chunk))
    seen += chunk.length
    t.ok(store.parts.pins.isPinned(uid), 'nobody takes it from under the reader')
    if (seen > 2_000_000) break
  }
  while (store.parts.pins.isPinned(uid)) await sleep(5)
  t.pass('the store does not read on')
})

t.test('a bucket is known to all workers before anybody hears of it', async (t) => {
  const opened = await openNews(t)
  const [one, two] = [await link(t, opened), await link(t, opened)]
  for (let round = 0; round < 50; round += 1) {
    const { bucket } = await one.linked.objects.createBucket(`b${round}`, 'us-east-1')
    t.same(two.linked.objects.findBucket(`b${round}`), bucket)
    const change = { versioning: 'enabled' as const }
    const changed = await two.linked.objects.changeBucket(bucket, change)
    t.equal(changed.kind, 'changed')
    t.same(one.linked.objects.findBucket(`b${round}`)?.settings, change)
    t.equal((await one.linked.objects.deleteBucket(`b${round}`)).kind, 'deleted')
    t.equal(two.linked.objects.findBucket(`b${round}`), undefined)
  }
  two.socket.pause()
  two.socket.destroy()
  await one.linked.objects.createBucket('alone', 'us-east-1')
  t.ok(one.linked.objects.findBucket('alone'), 'who is gone is not waited for')
})

t.test('a worker that is still being started is not waited for', async (t) => {
  const opened = await openNews(t)
  const { linked } = await link(t, opened)
  const [near, far] = await socketPair(t)
  let isCutOff = false
  far.once('close', () => {
    isCutOff = true
  })
  serveLink(far, opened)
  await linked.objects.createBucket('early', 'us-east-1')
  t.notOk(isCutOff)
  const late = await linkStore(near, { ...world, onEnd: () => {}, blobCache: new BlobCache() })
  t.ok(late.objects.findBucket('early'), 'it knows what was so when it came')
  await linked.objects.createBucket('later', 'us-east-1')
  t.ok(late.objects.findBucket('later'), 'and what became so')
})

t.test('a worker that does not hear is cut off', async (t) => {
  let late = (): void => {}
  const clock = {
    ...world.clock,
    sleep: () =>
      new Promise<void>((resolve) => {
        late = resolve
      }),
  }
  const opened = await openNews(t, { ...world, clock })
  const { store, news } = opened
  const [near, far] = await socketPair(t)
  serveLink(far, opened)
  let isEnded = false
  const onEnd = (): void => {
    isEnded = true
  }
  await linkStore(near, { ...world, onEnd, blobCache: new BlobCache() })
  let isKilled = false
  far.once('killed', () => {
    isKilled = true
  })
  near.pause()
  const creating = (async () => {
    await store.objects.createBucket('b', 'us-east-1')
    await news.settled()
  })()
  await sleep(50)
  late()
  await creating
  t.ok(isKilled, 'it could answer by what is over')
  near.resume()
  await once(near, 'close')
  t.ok(isEnded)
})

t.test('the root asks through any worker', async (t) => {
  const { linked } = await link(t, await openNews(t))
  const { admin } = linked
  t.same(await admin.status(), { health: 'healthy' })
  const request = { bucket: 'b', key: 'k', afterPart: 0 }
  t.same(await admin.inspect(request, NEVER), { request, aborted: false })
  t.equal(await admin.healing(), 'healing')
  t.equal(await admin.drives.remove(3), 'remove')
})
