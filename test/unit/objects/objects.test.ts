// The object store over memory: every size comes back whole, with drives lost, rotten or failing on the way.
import t from 'tap'
import { Overloaded } from '../../../src/kit/semaphore.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import { TooFewShards } from '../../../src/objects/blob-shards.ts'
import {
  type Body,
  BucketGone,
  type StoredObject,
  stateIdOf,
} from '../../../src/objects/object-store.ts'
import { TooFewDrives } from '../../../src/objects/shard-fan.ts'
import { BlobLatch } from '../../../src/storage-node/upkeep/blob-latch.ts'
import { collectGarbage } from '../../../src/storage-node/upkeep/collect-garbage.ts'
import { GarbageAhead } from '../../../src/storage-node/upkeep/garbage-ahead.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from './memory-store.ts'

const SIZES = [0, 1, 127, 4096, 131_072, 131_073, 524_288, 524_289, 1_000_000, 4_500_000] as const
const ATTRIBUTES = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
const random = new Seeded(11)

async function put(store: MemoryStore, key: string, bytes: Uint8Array) {
  const { objects, bucket } = store
  const signal = new AbortController().signal
  return objects.put({
    bucket,
    key,
    attributes: ATTRIBUTES,
    conditions: {},
    body: bodyOf(bytes),
    signal,
  })
}

/** The object of a key that has one. */
async function findObject(
  { objects, bucket }: Pick<MemoryStore, 'objects' | 'bucket'>,
  key: string,
  versionId?: string,
): Promise<StoredObject> {
  const found = await objects.find(bucket, key, versionId)
  if (found.kind !== 'found') throw new Error(`${key}: ${found.kind}`)
  return found.object
}

async function readAll(object: StoredObject): Promise<Buffer> {
  const { bytes } = object.version
  if (bytes === 0) return Buffer.alloc(0)
  return collect(object.read({ first: 0, last: bytes - 1 }, new AbortController()))
}

t.test('objects of every tier come back, whole and in ranges', async (t) => {
  const store = await openMemoryStore()
  for (const size of SIZES) {
    const bytes = random.bytes(size)
    t.match(await put(store, `k${size}`, bytes), { kind: 'done', version: { bytes: size } })
    const object = await findObject(store, `k${size}`)
    t.ok(bytes.equals(await readAll(object)), `${size} bytes`)
    for (let round = 0; round < 8 && size > 0; round += 1) {
      const first = random.below(size)
      const last = first + random.below(size - first)
      const part = await collect(object.read({ first, last }, new AbortController()))
      if (!part.equals(bytes.subarray(first, last + 1))) t.fail(`${first}-${last} of ${size}`)
    }
  }
  t.equal(store.node.openReaders, 0, 'readers are closed')
  t.same(store.reports, [], 'nothing was damaged')
  t.equal(
    store.parts.codec.freeStripes > 0 && store.parts.writeBudget.free,
    1024,
    'memory is given back',
  )
})

t.test('any two drives may be lost, and the damage is reported', async (t) => {
  const store = await openMemoryStore()
  const bytes = new Map(SIZES.map((size) => [`k${size}`, random.bytes(size)]))
  for (const [key, content] of bytes) await put(store, key, content)
  for (let first = 1; first <= 6; first += 1) {
    for (let second = first + 1; second <= 6; second += 1) {
      store.node.failed.add(first).add(second)
      for (const [key, content] of bytes) {
        const object = await findObject(store, key)
        if (!content.equals(await readAll(object))) t.fail(`${key} without ${first} and ${second}`)
      }
      store.node.failed.clear()
    }
  }
  t.ok(store.reports.some(({ kind }) => kind === 'failed'))
  t.equal(store.parts.mendingCodec.freeStripes, store.parts.codec.freeStripes)
})

t.test('rotten cells are mended, too many break the read off', async (t) => {
  const store = await openMemoryStore()
  const bytes = random.bytes(1_600_000)
  await put(store, 'k', bytes)
  for (const cell of ['1/0', '3/0', '2/1', '5/1', '6/2', '1/2']) store.node.rotten.add(cell)
  const object = await findObject(store, 'k')
  t.ok(bytes.equals(await readAll(object)))
  t.ok(store.reports.some(({ kind }) => kind === 'corrupt'))
  for (const cell of ['2/0', '4/0']) store.node.rotten.add(cell)
  await t.rejects(readAll(await findObject(store, 'k')), { code: 'TOO_FEW_SHARDS' })
  t.equal(store.node.openReaders, 0)
  // Three rotten cells of the first stripe, and one that a drive would have if it answered: then it is enough.
  store.node.rotten.delete('1/0')
  store.node.failed.add(1)
  await t.rejects(readAll(await findObject(store, 'k')), TooFewShards)
  await t.rejects(readAll(await findObject(store, 'k')), { code: 'TOO_FEW_SHARDS' })
  store.node.rotten.delete('2/0')
  store.node.failed.add(2).add(3)
  await t.rejects(readAll(await findObject(store, 'k')), { code: 'SHARDS_AWAY' })
})

t.test(
  'a drive that fails in the middle of a PUT is on record before the PUT is acknowledged',
  async (t) => {
    for (const failAt of [0, 2]) {
      const store = await openMemoryStore()
      const bytes = random.bytes(3_000_000)
      store.node.beforeWrite = (driveId, cell) => {
        if (driveId === 2 && cell === failAt) store.node.failed.add(2)
      }
      const answer = await put(store, 'k', bytes)
      t.match(answer, { kind: 'done' })
      const drive = store.coordinator.state.map.drives.find(({ id }) => id === 2)
      t.equal(drive?.state, 'out', 'recorded')
      const object = await findObject(store, 'k')
      t.ok(object.version.blob!.drives!.includes(0xffff), 'the row says which slot is owed')
      t.ok(bytes.equals(await readAll(object)))
      await put(store, 'small', random.bytes(100))
      const small = await findObject(store, 'small')
      t.notOk(small.version.blob!.drives?.includes(2), 'nothing new goes there')
    }
  },
)

t.test('too few drives left: the PUT is refused and nothing stays', async (t) => {
  const store = await openMemoryStore()
  store.node.beforeWrite = (driveId, cell) => {
    if (driveId <= 3 && cell === 1) store.node.failed.add(driveId)
  }
  await t.rejects(put(store, 'k', random.bytes(3_000_000)), TooFewDrives)
  t.same(await store.objects.find(store.bucket, 'k'), { kind: 'missing' })
  t.ok(store.node.aborted >= 3)
})

t.test('a body that breaks off or lies leaves nothing', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket, node } = store
  const request = {
    bucket,
    key: 'k',
    attributes: ATTRIBUTES,
    conditions: {},
    signal: new AbortController().signal,
  }
  const bytes = random.bytes(700_000)
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 600_000)
    throw new Error('the client went away')
  }
  await t.rejects(
    objects.put({ ...request, body: { ...bodyOf(bytes), chunks: broken() } }),
    /went away/,
  )
  await t.rejects(objects.put({ ...request, body: { ...bodyOf(bytes), bytes: 700_001 } }), {
    code: 'BODY_LENGTH_WRONG',
  })
  await t.rejects(objects.put({ ...request, body: { ...bodyOf(bytes), bytes: 699_999 } }), {
    code: 'BODY_LENGTH_WRONG',
  })
  const lying = () => {
    throw new Error('BadDigest')
  }
  await t.rejects(
    objects.put({ ...request, body: { ...bodyOf(bytes), finish: lying } }),
    /BadDigest/,
  )
  t.equal(node.shardCount, 0)
  t.same(await store.objects.find(store.bucket, 'k'), { kind: 'missing' })
  t.equal(
    store.parts.codec.freeStripes,
    store.parts.mendingCodec.freeStripes,
    'stripes are given back',
  )
})

t.test('a refused write takes its shards back', async (t) => {
  const store = await openMemoryStore()
  await put(store, 'k', random.bytes(10))
  const before = store.node.shardCount
  const { objects, bucket } = store
  const answer = await objects.put({
    bucket,
    key: 'k',
    attributes: ATTRIBUTES,
    conditions: { ifNoneMatch: ['*'] },
    body: bodyOf(random.bytes(400_000)),
    signal: new AbortController().signal,
  })
  t.match(answer, { kind: 'condition-failed' })
  t.equal(store.node.shardCount, before)
})

t.test(
  'a write into a bucket that is gone, or into a full queue, takes its shards back',
  async (t) => {
    const store = await openMemoryStore()
    for (const partition of store.partitions) {
      partition.commit = async () => {
        throw new Overloaded('a test')
      }
    }
    await t.rejects(put(store, 'k', random.bytes(400_000)), { code: 'OVERLOADED' })
    t.equal(store.node.shardCount, 0)
    for (const partition of store.partitions) Reflect.deleteProperty(partition, 'commit')
    await store.objects.deleteBucket('bucket')
    await t.rejects(put(store, 'k', random.bytes(400_000)), BucketGone)
    t.equal(store.node.shardCount, 0)
  },
)

t.test('a write that was given up is under way until its commit has ended', async (t) => {
  const store = await openMemoryStore()
  const { writes } = store.parts
  let end = (): void => {}
  const lateEnd = new Promise<void>((resolve) => {
    end = resolve
  })
  for (const partition of store.partitions) {
    const commit = partition.commit.bind(partition)
    partition.commit = async (command) => {
      await commit(command)
      throw new MetadataUnavailable('it took too long', { lateEnd })
    }
  }
  await t.rejects(put(store, 'k', random.bytes(5000)), { code: 'METADATA_UNAVAILABLE' })
  t.equal(writes.underWay().length, 1)
  end()
  await lateEnd
  t.same(writes.underWay(), [])
})

t.test('overwritten and deleted bytes are collected, but not under a reader', async (t) => {
  const store = await openMemoryStore()
  const bytes = random.bytes(2_000_000)
  await put(store, 'k', bytes)
  const object = await findObject(store, 'k')
  const reading = object.read({ first: 0, last: bytes.length - 1 }, new AbortController())
  const iterator = reading[Symbol.asyncIterator]()
  const first = await iterator.next()
  await store.objects.delete(store.bucket, 'k', { conditions: {} })
  const collector = {
    world: store.parts.world,
    log: store.parts.log,
    node: store.node,
    coordinator: store.coordinator,
    partitions: store.partitions,
    isPinned: store.parts.pins.isPinned.bind(store.parts.pins),
    latch: new BlobLatch(),
    ahead: new GarbageAhead(0),
  }
  const { signal } = new AbortController()
  t.equal(await collectGarbage(collector, signal), 0, 'pinned')
  const rest: Uint8Array[] = [first.value!]
  for (let next = await iterator.next(); !next.done; next = await iterator.next())
    rest.push(next.value)
  t.ok(bytes.equals(Buffer.concat(rest)), 'the reader got all of it')
  t.equal(await collectGarbage(collector, signal), 1)
  t.equal(store.node.shardCount, 0)
  t.equal(await collectGarbage(collector, signal), 0, 'and the row is gone')
})

t.test('blobs that are being read keep no other garbage waiting', async (t) => {
  const store = await openMemoryStore()
  const { pins } = store.parts
  const unpins: (() => void)[] = []
  for (let count = 0; count < 503; count += 1) {
    await put(store, 'k', random.bytes(1))
    const { blob } = (await findObject(store, 'k')).version
    if (count < 500) unpins.push(pins.pin(blob!.uid))
  }
  const collector = {
    ...store,
    ...store.parts,
    isPinned: pins.isPinned.bind(pins),
    latch: new BlobLatch(),
    ahead: new GarbageAhead(0),
  }
  const { signal } = new AbortController()
  t.equal(await collectGarbage(collector, signal), 2)
  for (const unpin of unpins) unpin()
  t.equal(await collectGarbage(collector, signal), 500)
})

t.test('multipart: parts are read as one, across their boundaries', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket } = store
  const upload = await objects.createUpload(bucket, 'k', ATTRIBUTES)
  const contents = [
    random.bytes(5 * 1024 * 1024),
    random.bytes(5 * 1024 * 1024 + 7),
    random.bytes(3),
  ]
  const listed = []
  for (const [index, content] of contents.entries()) {
    const number = index * 3 + 1
    const signal = new AbortController().signal
    const answer = await objects.putPart({
      bucket,
      key: 'k',
      upload,
      number,
      body: bodyOf(content),
      signal,
    })
    if (answer.kind !== 'done') return t.fail(answer.kind)
    listed.push({ number, etag: answer.part.etag })
  }
  const answer = await objects.completeUpload({
    bucket,
    key: 'k',
    uploadId: upload.uploadId,
    parts: listed,
    conditions: {},
    claimed: {},
  })
  t.match(answer, { kind: 'done', version: { etag: /-3$/ } })
  const whole = Buffer.concat(contents)
  const object = await findObject(store, 'k')
  t.ok(whole.equals(await readAll(object)))
  const first = contents[0]!.length - 5
  const last = whole.length - 2
  const part = await collect(object.read({ first, last }, new AbortController()))
  t.ok(part.equals(whole.subarray(first, last + 1)))
  t.match(await object.findPart(2), {
    firstByte: contents[0]!.length,
    bytes: contents[1]!.length,
    partCount: 3,
  })
  t.equal(await object.findPart(4), undefined)
})

t.test(
  'a bucket is deleted only when it is empty, and writes in between are not lost',
  async (t) => {
    const store = await openMemoryStore()
    const { objects, bucket } = store
    await put(store, 'k', random.bytes(10))
    t.same(await objects.deleteBucket('bucket'), { kind: 'not-empty' })
    const [deletion, write] = await Promise.all([
      objects.deleteBucket('bucket'),
      put(store, 'other', random.bytes(10)),
    ])
    t.same(deletion, { kind: 'not-empty' })
    t.match(write, { kind: 'done' }, 'the write waited for the deletion to be undone')
    await objects.delete(bucket, 'k', { conditions: {} })
    await objects.delete(bucket, 'other', { conditions: {} })
    t.same(await objects.deleteBucket('bucket'), { kind: 'deleted' })
    t.same(await objects.deleteBucket('bucket'), { kind: 'missing' })
    await t.rejects(put(store, 'late', random.bytes(10)), BucketGone)
    const again = await objects.createBucket('bucket', 'us-east-1')
    t.equal(again.kind, 'created')
    t.not(again.bucket.id, bucket.id, 'a new bucket of an old name is another one')
    t.same(await objects.find(again.bucket, 'k'), { kind: 'missing' })
  },
)

t.test('a deletion that can not go on is undone', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket, logs } = store
  logs[3]!.fail()
  await t.rejects(objects.deleteBucket('bucket'))
  t.equal(objects.findBucket('bucket')?.state, 'live')
  t.equal(objects.findBucket('bucket')?.id, bucket.id)
})

t.test(
  'a partition that was not told that a deletion is undone is told by the next write',
  async (t) => {
    const store = await openMemoryStore()
    const { objects, partitions } = store
    const key = 'k'
    await put(store, key, random.bytes(10))
    for (const partition of partitions) {
      const commit = partition.commit.bind(partition)
      partition.commit = async (command) => {
        if (command.kind === 'set-bucket' && command.state === 'live') throw new Error('a crash')
        return await commit(command)
      }
    }
    await t.rejects(objects.deleteBucket('bucket'), /a crash/)
    for (const partition of partitions) Reflect.deleteProperty(partition, 'commit')
    t.equal(objects.findBucket('bucket')?.state, 'live')
    t.match(await put(store, key, random.bytes(20)), { kind: 'done' })
    t.match(await findObject(store, key), { version: { bytes: 20 } })
  },
)

/** The bucket with these settings. */
async function withVersions(store: MemoryStore, versioning: 'enabled' | 'suspended') {
  const outcome = await store.objects.changeBucket(store.bucket, { versioning })
  if (outcome.kind !== 'changed') throw new Error(outcome.why)
  return { ...store, bucket: outcome.bucket }
}

t.test('a bucket that keeps versions gives each of them back', async (t) => {
  const store = await withVersions(await openMemoryStore(), 'enabled')
  const contents = [random.bytes(300_000), random.bytes(10), random.bytes(0)]
  const ids: string[] = []
  for (const content of contents) {
    const answer = await put(store, 'k', content)
    if (answer.kind !== 'done') return t.fail(answer.kind)
    ids.push(answer.version.versionId)
  }
  const deleted = await store.objects.delete(store.bucket, 'k', { conditions: {} })
  t.match(deleted, { kind: 'done', made: { deleteMarker: true, versioned: true } })
  t.match(await store.objects.find(store.bucket, 'k'), { kind: 'delete-marker' })
  for (const [index, id] of ids.entries()) {
    t.ok(contents[index]!.equals(await readAll(await findObject(store, 'k', id))), id)
  }
  const page = await store.objects.listVersions({ ...LIST, bucket: store.bucket })
  const listed = page.entries.flatMap((entry) => (entry.kind === 'entry' ? entry.record : []))
  t.same(
    listed.map(({ version }) => version.versionId).slice(1),
    ids.toReversed(),
    'newest first, under the marker',
  )
  t.same(
    listed.map(({ isLatest }) => isLatest),
    [true, false, false, false],
  )
})

const LIST = { prefix: '', delimiter: '', after: '', afterVersionId: '', limit: 100 }

t.test('a write that knows only old settings of its bucket is done by the new ones', async (t) => {
  const store = await openMemoryStore()
  await put(store, 'k', random.bytes(5))
  await withVersions(store, 'enabled')
  const answer = await put(store, 'k', random.bytes(6))
  t.match(answer, { kind: 'done', version: { versioned: true } })
  t.match(await findObject(store, 'k', 'null'), { version: { bytes: 5 } })
})

t.test('Object Lock and versions belong together', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket } = store
  t.same(await objects.changeBucket(bucket, { objectLock: {} }), {
    kind: 'conflict',
    why: 'lock-needs-versions',
  })
  t.match(await objects.changeBucket(bucket, { objectLock: {}, versioning: 'enabled' }), {
    kind: 'changed',
  })
  t.same(await objects.changeBucket(bucket, { versioning: 'suspended' }), {
    kind: 'conflict',
    why: 'locked-keeps-versions',
  })
  t.same(objects.findBucket('bucket')?.settings, { objectLock: {}, versioning: 'enabled' })
})

t.test('appends grow an object, with versions and without', async (t) => {
  for (const versioning of [undefined, 'enabled', 'suspended'] as const) {
    const plain = await openMemoryStore()
    const store = versioning ? await withVersions(plain, versioning) : plain
    const contents = [random.bytes(10), random.bytes(700_000), random.bytes(1)]
    let offset = 0
    let before: StoredObject | undefined
    for (const content of contents) {
      const answer = await append(store, offset, content)
      t.match(answer, { kind: 'done', version: { bytes: offset + content.length } })
      if (before) {
        const old = Buffer.concat(contents).subarray(0, offset)
        t.ok(old.equals(await readAll(before)), 'who found it before still reads what was there')
      }
      before = await findObject(store, 'k')
      offset += content.length
    }
    t.ok(Buffer.concat(contents).equals(await readAll(await findObject(store, 'k'))))
    t.same(await append(store, 3, random.bytes(1)), { kind: 'wrong-offset', bytes: offset })
  }
})

t.test('appends keep annotations, with versions and without', async (t) => {
  for (const versioning of [undefined, 'enabled', 'suspended'] as const) {
    const plain = await openMemoryStore()
    const store = versioning ? await withVersions(plain, versioning) : plain
    await put(store, 'k', random.bytes(10))
    const text = random.bytes(100)
    const { objects, bucket } = store
    const { version } = await findObject(store, 'k')
    const { signal } = new AbortController()
    const body = bodyOf(text)
    await objects.annotate({ bucket, key: 'k', version, name: 'note', body, signal })
    t.match(await append(store, 10, random.bytes(5)), { kind: 'done' })
    const found = await findObject(store, 'k')
    const annotation = await found.findAnnotation('note')
    t.ok(annotation, `${versioning}`)
    t.ok(text.equals(await collect(found.readAnnotation(annotation!, signal))), `${versioning}`)
  }
})

t.test('an edit in between is seen by who copies a version to replace or remove it', async (t) => {
  const store = await withVersions(await openMemoryStore(), 'suspended')
  const { objects, bucket } = store
  await put(store, 'k', random.bytes(10))
  const { signal } = new AbortController()
  const note = { bucket, key: 'k', name: 'note', signal }
  const edits = [
    () => objects.edit(bucket, 'k', undefined, { what: 'tags', tags: [{ key: 'a', value: 'b' }] }),
    () => objects.edit(bucket, 'k', undefined, { what: 'legal-hold', on: false }),
    async () => {
      const { version } = await findObject(store, 'k')
      return await objects.annotate({ ...note, version, body: bodyOf(random.bytes(9)) })
    },
    () => objects.deleteAnnotation(bucket, 'k', { name: 'note' }),
  ]
  for (const edit of edits) {
    const { version } = await findObject(store, 'k')
    const body = bodyOf(random.bytes(5))
    async function* chunks(): AsyncGenerator<Uint8Array> {
      t.match(await edit(), { kind: 'done' })
      yield* body.chunks
    }
    const lost = { kind: 'condition-failed', condition: 'If-Match' }
    const { kind } = await append(store, 10, { ...body, chunks: chunks() })
    t.ok(kind === 'changed' || kind === lost.kind, kind)
    const conditions = { ifCurrent: stateIdOf(version) }
    t.same(await objects.delete(bucket, 'k', { conditions }), lost)
  }
  const { version } = await findObject(store, 'k')
  t.match(version, { tags: [{ key: 'a', value: 'b' }], legalHold: false, bytes: 10 })
  t.match(await append(store, 10, random.bytes(5)), { kind: 'done', version: { bytes: 15 } })
})

t.test('an appended object is not in the state of the one before', async (t) => {
  const store = await openMemoryStore()
  await put(store, 'k', random.bytes(10))
  await store.objects.edit(store.bucket, 'k', undefined, { what: 'legal-hold', on: false })
  const { version } = await findObject(store, 'k')
  await append(store, 10, random.bytes(5))
  t.not(stateIdOf((await findObject(store, 'k')).version), stateIdOf(version))
})

function append({ objects, bucket }: MemoryStore, offset: number, content: Uint8Array | Body) {
  return objects.append({
    bucket,
    key: 'k',
    offset,
    attributes: ATTRIBUTES,
    conditions: {},
    body: content instanceof Uint8Array ? bodyOf(content) : content,
    signal: new AbortController().signal,
  })
}

t.test('a copy of annotations whose source was overwritten meanwhile is not made', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket } = store
  const { signal } = new AbortController()
  await put(store, 'k', random.bytes(5))
  const { version } = await findObject(store, 'k')
  const annotated = { bucket, key: 'k', version, name: 'n', body: bodyOf(random.bytes(9)), signal }
  t.match(await objects.annotate(annotated), { kind: 'done' })
  const source = await findObject(store, 'k')
  await put(store, 'k', random.bytes(6))
  const shards = store.node.shardCount
  const copy = objects.put({
    bucket,
    key: 'copy',
    attributes: ATTRIBUTES,
    conditions: {},
    body: bodyOf(random.bytes(5)),
    signal,
    annotationsOf: source,
  })
  await t.rejects(copy, { code: 'SOURCE_CHANGED' })
  t.equal(store.node.shardCount, shards, 'nothing stays of it')
  t.match(await objects.find(bucket, 'copy'), { kind: 'missing' })
})

t.test('a read that fails while others go on leaves their memory to nobody else', async (t) => {
  const store = await openMemoryStore()
  await put(store, 'k', random.bytes(600_000))
  const { node, parts } = store
  const object = await findObject(store, 'k')
  const open = node.openShard.bind(node)
  let underWay = 0
  // Two drives are gone, so the stripe is mended: of the reads for that one fails at once and one takes its time.
  node.openShard = async (driveId, id) => {
    if (id.slot < 2) return { kind: 'missing' }
    const opened = await open(driveId, id)
    if (opened.kind !== 'found') return opened
    const readCell: typeof opened.reader.readCell = async (index, target) => {
      if (parts.mendingCodec.freeStripes === free)
        return await opened.reader.readCell(index, target)
      if (id.slot === 4) throw new Error('too many open files')
      underWay += 1
      await new Promise((resolve) => setTimeout(resolve, 20))
      underWay -= 1
      return await opened.reader.readCell(index, target)
    }
    return { kind: 'found', reader: { ...opened.reader, readCell } }
  }
  const free = parts.mendingCodec.freeStripes
  await t.rejects(readAll(object), /too many open files/)
  t.equal(underWay, 0, 'every read has ended')
  t.equal(parts.mendingCodec.freeStripes, free)
})

t.test('many keys are deleted, and each has the outcome of its own', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket } = store
  const names = Array.from({ length: 400 }, (_, at) => `many/${at}`)
  const there = names.filter((_, at) => at % 3 !== 0)
  await Promise.all(there.map((name) => put(store, name, Buffer.alloc(0))))
  await put(store, 'another', Buffer.alloc(0))
  const asked = [...names, 'many/1'].map((key) => ({ key, conditions: {} }))
  const outcomes = await objects.deleteMany(bucket, asked, {}, new AbortController().signal)
  t.strictSame(
    outcomes.map((outcome) => outcome.kind === 'done' && outcome.removed !== undefined),
    [...names.map((_, at) => at % 3 !== 0), false],
    'what is named again was deleted before',
  )
  t.match(await objects.find(bucket, 'another'), { kind: 'found' })
  for (const name of there) t.match(await objects.find(bucket, name), { kind: 'missing' })
  t.strictSame(await objects.deleteMany(bucket, [], {}, new AbortController().signal), [])
})
