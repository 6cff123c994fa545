// Random lives of a few keys on failing drives: every blob that is named is walked once, found when it is owed, and
// moved in its row alone.
import { deepStrictEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Uid } from '../../../src/kit/uid.ts'
import type { BlobReference } from '../../../src/metadata/contract.ts'
import {
  type Blob,
  isDeleteMarker,
  MISSING_SLOT,
  type ObjectVersion,
  type Part,
} from '../../../src/metadata/records.ts'
import { KeyKind, versionKey } from '../../../src/metadata/rows/keys.ts'
import {
  bucket,
  everything,
  type Fixture,
  HOME,
  listed,
  MIB,
  openFixture,
} from './partition-fixture.ts'

const SEED = 20_251_122
const SLOTS = 6
/** Kinds of rows that change with the one that names a blob. */
const FOLLOWING = new Set<number>([KeyKind.Repair, KeyKind.Clock])

const key = fc.constantFrom('a', 'a\0', 'b')
const drives = fc.oneof(
  fc.constant(HOME),
  fc.array(fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, fc.constant(MISSING_SLOT)), {
    minLength: SLOTS,
    maxLength: SLOTS,
  }),
)
const pick = fc.nat(30)
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('put' as const), key, drives }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('put-empty' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), key, pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('append' as const), key, drives }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('annotate' as const), key, pick, drives }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('create' as const), key }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('part' as const), pick, drives }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('complete' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), pick }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('move' as const), pick, drives }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('versioning' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
interface OpenUpload {
  key: string
  uploadId: Uid
  parts: Omit<Part, 'modifiedMs'>[]
}

t.test('every blob is walked once, found when it is owed, and moved in its row', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 50, size: 'max' }),
      fc.integer({ min: 1, max: 6 }),
      async (steps, limit) => {
        const life = new Life(await openFixture())
        for (const one of steps) await life.run(one)
        const walked = await life.checkWalk(limit)
        await life.checkOwed(walked)
      },
    ),
    { seed: SEED, numRuns: 150 },
  )
})

t.test(
  'whether a blob is named is known exactly, whatever is committed at the same time',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        const life = new Life(await openFixture())
        for (const one of steps) await life.runWhileAsked(one)
      }),
      { seed: SEED, numRuns: 60 },
    )
  },
)

/** A store whose clients do as the steps say. */
class Life {
  readonly #fixture: Fixture
  readonly #uploads: OpenUpload[] = []
  /** Every blob that was ever written, and for which key. */
  readonly #written: { key: string; blob: Blob }[] = []

  constructor(fixture: Fixture) {
    this.#fixture = fixture
  }

  /** What is asked before a step sees nothing of the step, and all before it. */
  async runWhileAsked(one: Step): Promise<void> {
    const { partition, log } = this.#fixture
    const { references } = await partition.scanBlobs(undefined, 10_000)
    const keys = [...new Set(this.#written.map(({ key }) => key))]
    const asked = keys.map(async (key) => {
      const blobs = this.#written.filter((made) => made.key === key).map(({ blob }) => blob)
      const found = await partition.findInOrder({ bucketId: bucket.id, key }, blobs)
      const expected = blobs.map(({ uid, part }) =>
        references.find(({ blob }) => blob.uid === uid && blob.part === part),
      )
      deepStrictEqual(found, expected)
    })
    await Promise.all([...asked, this.run(one)])
    deepStrictEqual(log.openCursors, 0)
  }

  async run(one: Step): Promise<void> {
    const { store, clock } = this.#fixture
    clock.ms += 1
    switch (one.do) {
      case 'put':
        await store.put(one.key, 'a', {
          version: { ...store.version('a', 5), blob: this.#blob(one.key, 5, one.drives) },
        })
        return
      case 'put-empty':
        await store.put(one.key, 'a', { version: store.version('a', 0) })
        return
      case 'delete':
        await store.delete(one.key)
        return
      case 'remove': {
        const version = at(await this.#versionsOf(one.key), one.pick)
        if (version) await store.remove(one.key, version.versionId)
        return
      }
      case 'append': {
        const [latest] = await this.#versionsOf(one.key)
        const more = { blob: this.#blob(one.key, 7, one.drives) }
        if (latest) await store.append(one.key, latest.versionId, 7, more)
        return
      }
      case 'annotate':
        return await this.#annotate(one.key, one.pick, one.drives)
      case 'create':
        this.#uploads.push({ key: one.key, uploadId: await store.create(one.key), parts: [] })
        return
      case 'part':
        return await this.#putPart(one.pick, one.drives)
      case 'complete':
        return await this.#complete(one.pick)
      case 'abort': {
        const upload = this.#takeUpload(one.pick)
        if (upload) await store.abort(upload.key, upload.uploadId)
        return
      }
      case 'move':
        return await this.#move(one.pick, one.drives)
      case 'versioning': {
        const { versioning } = store.bucket
        store.setVersioning(versioning === 'enabled' ? 'suspended' : 'enabled')
      }
    }
  }

  /** Every blob that a version, part, manifest or annotation names, once. */
  async checkWalk(limit: number): Promise<BlobReference[]> {
    const { partition, log } = this.#fixture
    const walked: BlobReference[] = []
    let page = await partition.scanBlobs(undefined, limit)
    for (;;) {
      ok(page.references.length < limit + SLOTS, 'no more than asked for, and the rest of a row')
      walked.push(...page.references)
      if (!page.more) break
      page = await partition.scanBlobs(page.after, limit)
    }
    deepStrictEqual(walked.map(({ blob }) => blob).sort(byUid), (await this.#named()).sort(byUid))
    const rowKeys = walked.map(({ rowKey }) => rowKey)
    deepStrictEqual(rowKeys, [...rowKeys].sort(Buffer.compare))
    deepStrictEqual(log.openCursors, 0)
    return walked
  }

  /** What is owed is what lacks shards, and its row is found. */
  async checkOwed(walked: readonly BlobReference[]): Promise<void> {
    const { partition, log } = this.#fixture
    const lacking = walked
      .filter(({ blob }) => missingCount(blob) > 0)
      .sort(
        (left, right) =>
          missingCount(right.blob) - missingCount(left.blob) || byReference(left, right),
      )
    const owed = await partition.owedBlobs(1000)
    deepStrictEqual(
      owed.map(({ blob }) => blob),
      lacking.map(({ blob }) => blob),
    )
    deepStrictEqual(await partition.owedBlobs(2), owed.slice(0, 2))
    deepStrictEqual(await partition.countOwed(), owed.length)
    const middle = owed[owed.length >> 1]
    const behind = owed.slice((owed.length >> 1) + 1)
    if (middle) deepStrictEqual(await partition.owedAfter(middle, 1000), behind)
    for (const [index, one] of owed.entries()) {
      deepStrictEqual(await partition.findBlob(one), lacking[index])
    }
    for (const { key, blobs } of await this.#namedByKey()) {
      for (const blob of blobs) {
        const found = await partition.findBlob({ bucketId: bucket.id, key, blob })
        deepStrictEqual(found?.blob, blob, 'found by its key alone')
      }
    }
    deepStrictEqual(log.openCursors, 0)
  }

  #blob(key: string, bytes: number, drives: number[] | undefined, part = 0): Blob {
    const blob = { ...this.#fixture.store.blob(bytes, drives), part }
    this.#written.push({ key, blob })
    return blob
  }

  async #annotate(key: string, pick: number, drives: number[] | undefined): Promise<void> {
    const { partition, store } = this.#fixture
    const version = at(await this.#versionsOf(key), pick)
    if (!version) return
    const blob = this.#blob(key, 3, drives)
    await partition.commit({
      kind: 'put-annotation',
      commandId: store.uid(),
      bucket: store.bucket,
      key,
      versionId: version.versionId,
      annotation: { name: `n${pick % 2}`, bytes: 3, etag: 'ab', blob },
    })
  }

  async #putPart(pick: number, drives: number[] | undefined): Promise<void> {
    const { store } = this.#fixture
    const upload = at(this.#uploads, pick)
    if (!upload) return
    const number = 1 + (pick % 3)
    const blob = this.#blob(upload.key, 5 * MIB, drives, number)
    const part = { ...store.part(number, 5 * MIB), blob }
    await store.putPart(upload.key, upload.uploadId, part)
    upload.parts = [...upload.parts.filter((other) => other.number !== number), part]
  }

  async #complete(pick: number): Promise<void> {
    const { store } = this.#fixture
    const upload = this.#takeUpload(pick)
    if (!upload) return
    const { key, uploadId, parts } = upload
    const list = parts.sort((left, right) => left.number - right.number).map(listed)
    // Sometimes without the last part, which is then garbage.
    const taken = pick > 15 && list.length > 1 ? list.slice(0, -1) : list
    if (taken.length === 0) this.#uploads.push(upload)
    else deepStrictEqual((await store.complete(key, uploadId, taken)).kind, 'done')
  }

  /** One row says where the blob is now, and what is owed follows. */
  async #move(pick: number, drives: number[]): Promise<void> {
    const { partition, store, log } = this.#fixture
    const { references } = await partition.scanBlobs(undefined, 1000)
    const moved = at(references, pick)
    if (!moved) return
    const { rowKey, blob } = moved
    const before = this.#rows()
    const count = log.applied.length
    const named = { rowKey, uid: blob.uid, part: blob.part, from: blob.drives, drives }
    const command = { kind: 'move-blob' as const, commandId: store.uid(), ...named }
    const answer = await partition.commit(command)
    deepStrictEqual(answer, { kind: 'done' })
    const written = log.applied
      .slice(count)
      .flat()
      .map(({ key }) => hex(key))
    const others = written.filter((name) => !FOLLOWING.has(Number.parseInt(name.slice(0, 2), 16)))
    deepStrictEqual(others, [hex(rowKey)])
    const after = this.#rows()
    deepStrictEqual([...after.keys()], [...before.keys()])
    for (const [name, value] of before) ok(name === hex(rowKey) || after.get(name) === value)
    const expected = { ...moved, blob: { ...blob, drives } }
    const again = await partition.scanBlobs(undefined, 1000)
    deepStrictEqual(
      again.references,
      references.map((one) => (one === moved ? expected : one)),
    )
  }

  /** Rows but those of what is owed and of the clock. */
  #rows(): Map<string, string> {
    const { log } = this.#fixture
    const kinds = Object.values(KeyKind).filter((kind) => !FOLLOWING.has(kind))
    const rows = kinds.flatMap((kind) => log.ofKind(kind))
    return new Map(rows.map(({ key, value }) => [hex(key), hex(value)]))
  }

  #takeUpload(pick: number): OpenUpload | undefined {
    return this.#uploads.splice(pick % Math.max(1, this.#uploads.length), 1)[0]
  }

  async #versions(): Promise<{ key: string; version: ObjectVersion }[]> {
    const { partition, store } = this.#fixture
    const scan = { ...everything, bucket: store.bucket, afterVersionId: '' }
    const page = await partition.scanVersions(scan)
    ok(page !== 'bucket-gone' && !page.more)
    return page.entries.flatMap((entry) => {
      if (entry.kind === 'prefix' || isDeleteMarker(entry.record.version)) return []
      return [{ key: entry.key, version: entry.record.version }]
    })
  }

  async #versionsOf(key: string): Promise<ObjectVersion[]> {
    const all = await this.#versions()
    return all.filter((one) => one.key === key).map(({ version }) => version)
  }

  async #named(): Promise<Blob[]> {
    return (await this.#namedByKey()).flatMap(({ blobs }) => blobs)
  }

  /** By what clients can ask for. */
  async #namedByKey(): Promise<{ key: string; blobs: Blob[] }[]> {
    const { partition, store } = this.#fixture
    const named: { key: string; blobs: Blob[] }[] = []
    for (const { key, version } of await this.#versions()) {
      const { manifest, annotationsId } = version
      const parts = manifest ? await partition.getManifest(manifest.uid) : []
      const scan = { prefix: '', after: '', limit: 100 }
      const { annotations } = annotationsId
        ? await partition.scanAnnotations(annotationsId, scan)
        : { annotations: [] }
      named.push({ key, blobs: blobsOf([version, ...parts, ...annotations]) })
    }
    const uploads = { ...everything, bucket: store.bucket, afterUploadId: '' }
    const page = await partition.scanUploads(uploads)
    ok(page !== 'bucket-gone')
    for (const entry of page.entries) {
      ok(entry.kind === 'entry')
      const { parts } = await partition.listParts(entry.record.uploadId, 0, 100)
      named.push({ key: entry.key, blobs: blobsOf(parts) })
    }
    return named
  }
}

t.test('the walk sees what was committed before it began', async (t) => {
  const { store, partition, log } = await openFixture()
  log.hold()
  const put = store.put('k', 'a')
  while (log.waiting === 0) await new Promise(setImmediate)
  const walk = partition.scanBlobs(undefined, 10)
  const owed = partition.owedBlobs(10)
  log.resume()
  await put
  t.equal((await walk).references.length, 1)
  t.strictSame(await owed, [])
})

t.test('what is asked in order waits for the fate of what was committed before', async (t) => {
  const { store, partition, log } = await openFixture()
  const blob = store.blob(5)
  const place = { bucketId: bucket.id, key: 'k' }
  log.hold()
  const put = store.put('k', 'a', { version: { ...store.version('a'), blob } })
  while (log.waiting === 0) await new Promise(setImmediate)
  let isAnswered = false
  const asked = partition.findInOrder(place, [blob]).finally(() => {
    isAnswered = true
  })
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate)
  t.notOk(isAnswered)
  log.resume()
  await put
  t.match(await asked, [{ blob, key: 'k' }])
})

t.test('where the fate of a commit is open nothing is said to be unnamed, ever', async (t) => {
  const { store, partition, log } = await openFixture()
  const blob = store.blob(5)
  const place = { bucketId: bucket.id, key: 'k' }
  log.hold()
  const put = store.put('k', 'a', { version: { ...store.version('a'), blob } })
  put.catch(() => undefined)
  while (log.waiting === 0) await new Promise(setImmediate)
  const asked = partition.findInOrder(place, [blob])
  asked.catch(() => undefined)
  log.fail()
  const unknown = { code: 'METADATA_UNAVAILABLE' }
  await t.rejects(put, unknown)
  await t.rejects(asked, unknown)
  await t.rejects(partition.findInOrder(place, [blob]), unknown)
  await t.rejects(partition.findInOrder({ bucketId: bucket.id, key: 'other' }, [blob]), unknown)
})

t.test('a search of very many rows is given up', async (t) => {
  const { store, partition } = await openFixture()
  const first = await store.put('k', 'a')
  if (first.kind !== 'done') throw new Error(first.kind)
  store.setVersioning('enabled')
  for (let count = 0; count <= 20_000; count += 1000) {
    await Promise.all(Array.from({ length: 1000 }, () => store.put('k', 'b')))
  }
  const blob = store.blob(5)
  await t.rejects(partition.findInOrder({ bucketId: bucket.id, key: 'k' }, [blob]), {
    code: 'SEARCH_TOO_LONG',
  })
  t.strictSame(await partition.findInOrder({ bucketId: bucket.id, key: 'j' }, [blob]), [undefined])
})

t.test('rows that name nothing do not make a page long', async (t) => {
  const { store, partition } = await openFixture()
  const empty = () => store.version('a', 0)
  const puts = Array.from({ length: 1500 }, (_, index) =>
    store.put(`k${index}`, 'a', { version: empty() }),
  )
  await Promise.all(puts)
  await store.put('z', 'a')
  const first = await partition.scanBlobs(undefined, 10)
  t.match(first, { references: [], more: true })
  const second = await partition.scanBlobs(first.after, 10)
  t.match(second, { references: [{ key: 'z' }], more: false })
  t.strictSame(await partition.scanBlobs(second.after, 10), {
    references: [],
    after: second.after,
    more: false,
  })
})

t.test('an owed blob is found far below, and where its object grew', async (t) => {
  const { store, partition } = await openFixture()
  const lacking = () => store.blob(5, [1, 2, MISSING_SLOT, 4, 5, 6])
  const version = () => ({ ...store.version('a'), blob: lacking() })
  const first = await store.put('k', 'a', { version: version() })
  if (first.kind !== 'done') throw new Error(first.kind)
  const grown = await store.append('k', first.version.versionId, 5, { blob: lacking() })
  if (grown.kind !== 'done') throw new Error(grown.kind)
  store.setVersioning('enabled')
  const second = await store.put('k', 'b', { version: version() })
  if (second.kind !== 'done') throw new Error(second.kind)
  for (let count = 0; count < 50; count += 1) await store.put('k', 'c')
  const owed = await partition.owedBlobs(10)
  t.equal(owed.length, 3)
  const [own, appended, sunk] = await Promise.all(owed.map((one) => partition.findBlob(one)))
  t.equal(own?.rowKey[0], KeyKind.Manifest)
  t.equal(appended?.rowKey[0], KeyKind.Manifest)
  t.strictSame(sunk, {
    rowKey: versionKey(bucket.id, Buffer.from('k'), second.version.versionId),
    bucketId: bucket.id,
    key: 'k',
    blob: owed[2]!.blob,
  })
  await store.remove('k', second.version.versionId)
  t.equal(await partition.findBlob(owed[2]!), undefined, 'it is garbage now')
  const other = { bucketId: bucket.id, key: 'never', blob: owed[0]!.blob }
  t.equal(await partition.findBlob(other), undefined)
})

function at<Item>(items: readonly Item[], pick: number): Item | undefined {
  return items[pick % Math.max(1, items.length)]
}

function blobsOf(holders: readonly { blob?: Blob }[]): Blob[] {
  return holders.flatMap(({ blob }) => (blob ? [blob] : []))
}

function missingCount({ drives = [] }: Blob): number {
  return drives.filter((drive) => drive === MISSING_SLOT).length
}

function byUid(left: Blob, right: Blob): number {
  return left.uid < right.uid ? -1 : Number(left.uid > right.uid)
}

function byReference(left: BlobReference, right: BlobReference): number {
  return byUid(left.blob, right.blob)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
