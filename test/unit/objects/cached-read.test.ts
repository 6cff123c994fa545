// Reads from memory: never other bytes than the row names at the moment, whatever becomes of the key, the drives or the bytes
// that were handed out.
import t from 'tap'
import { giveBack } from '../../../src/kit/lent-bytes.ts'
import type { CustomerKey, EncryptionRequest } from '../../../src/objects/object-store.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from './memory-store.ts'

const { signal } = new AbortController()
const seeded = new Seeded(77)
const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
const BYTES = 5_000

async function put(
  { objects, bucket }: MemoryStore,
  key: string,
  bytes: Uint8Array,
  encryption?: EncryptionRequest,
): Promise<void> {
  const sealed = encryption ? { encryption } : {}
  const request = { bucket, key, attributes, conditions: {}, body: bodyOf(bytes), signal }
  const outcome = await objects.put({ ...request, ...sealed })
  if (outcome.kind !== 'done') throw new Error(outcome.kind)
}

async function find({ objects, bucket }: MemoryStore, key: string) {
  const found = await objects.find(bucket, key)
  if (found.kind !== 'found') throw new Error(found.kind)
  return found.object
}

async function read(store: MemoryStore, key: string, customerKey?: CustomerKey): Promise<Buffer> {
  const object = await find(store, key)
  return collect(object.read({ first: 0, last: object.version.bytes - 1 }, { signal }, customerKey))
}

/** Reads often enough that it is in memory afterwards. */
async function warm(store: MemoryStore, key: string, customerKey?: CustomerKey): Promise<void> {
  for (let round = 0; round < 2; round += 1) await read(store, key, customerKey)
}

/** From here on nothing but memory can answer. */
function loseAllDrives({ node }: MemoryStore): void {
  for (const driveId of node.drives.keys()) node.failed.add(driveId)
}

t.test('the third reader needs no drive', async (t) => {
  const store = await openMemoryStore()
  const bytes = seeded.bytes(BYTES)
  await put(store, 'k', bytes)
  const whole = { first: 0, last: BYTES - 1 }
  t.equal((await find(store, 'k')).readAtHand?.(whole), undefined)
  await read(store, 'k')
  t.equal((await find(store, 'k')).readAtHand?.(whole), undefined, 'read once')
  await read(store, 'k')
  loseAllDrives(store)
  t.ok((await read(store, 'k')).equals(bytes))
  const object = await find(store, 'k')
  t.ok(bytes.equals(object.readAtHand!(whole)!), 'without waiting')
  for (const [first, last] of [
    [0, 0],
    [17, 4_000],
    [BYTES - 1, BYTES - 1],
  ] as const) {
    const wanted = bytes.subarray(first, last + 1)
    t.ok(wanted.equals(object.readAtHand!({ first, last })!), `${first} to ${last}`)
    t.ok((await collect(object.read({ first, last }, { signal }))).equals(wanted))
  }
  t.equal(store.node.openReaders, 0)
})

t.test('a range read twice is enough for every other range', async (t) => {
  const store = await openMemoryStore()
  const bytes = seeded.bytes(100_000)
  await put(store, 'k', bytes)
  const object = await find(store, 'k')
  for (const first of [70_000, 10]) {
    const range = { first, last: first + 99 }
    t.ok((await collect(object.read(range, { signal }))).equals(bytes.subarray(first, first + 100)))
  }
  loseAllDrives(store)
  t.ok((await read(store, 'k')).equals(bytes))
})

t.test('an overwritten, deleted or copied key gives what it is now', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket } = store
  let bytes = seeded.bytes(BYTES)
  await put(store, 'k', bytes)
  for (let round = 0; round < 5; round += 1) {
    await warm(store, 'k')
    const old = await find(store, 'k')
    const before = bytes
    bytes = seeded.bytes(BYTES)
    await put(store, 'k', bytes)
    for (let again = 0; again < 3; again += 1) t.ok((await read(store, 'k')).equals(bytes))
    t.ok(before.equals(old.readAtHand!({ first: 0, last: BYTES - 1 })!), 'who began before')
  }
  const source = await find(store, 'k')
  const copied = await collect(source.read({ first: 0, last: BYTES - 1 }, { signal }))
  await put(store, 'copy', copied)
  await objects.delete(bucket, 'k', { conditions: {} })
  t.match(await objects.find(bucket, 'k'), { kind: 'missing' })
  t.equal(objects.findAtHand(bucket, 'k'), undefined)
  t.ok((await read(store, 'copy')).equals(bytes))
  await put(store, 'k', copied.subarray(1))
  t.ok((await read(store, 'k')).equals(bytes.subarray(1)))
})

t.test('what is handed out is not lent: to give it back does nothing', async (t) => {
  const store = await openMemoryStore()
  const bytes = seeded.bytes(BYTES)
  await put(store, 'k', bytes)
  await warm(store, 'k')
  const held: Uint8Array[] = []
  for (let round = 0; round < 20; round += 1) {
    const object = await find(store, 'k')
    for await (const chunk of object.read({ first: 0, last: BYTES - 1 }, { signal })) {
      giveBack(chunk)
      held.push(chunk)
    }
    const other = `o${round}`
    await put(store, other, seeded.bytes(BYTES))
    await warm(store, other)
  }
  t.ok(held.every((chunk) => bytes.equals(chunk)))
})

t.test('parts of an upload, each under its own name', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket } = store
  const upload = await objects.createUpload(bucket, 'm', attributes)
  const texts = [seeded.bytes(5 * 1024 * 1024), seeded.bytes(70_000)]
  const parts: { number: number; etag: string }[] = []
  for (const [index, text] of texts.entries()) {
    // The last of those of the same number counts.
    for (const body of [bodyOf(seeded.bytes(text.length)), bodyOf(text)]) {
      const answer = await objects.putPart({
        ...{ bucket, key: 'm', upload, number: index + 1, body, signal },
      })
      if (answer.kind !== 'done') throw new Error(answer.kind)
      parts[index] = { number: index + 1, etag: answer.part.etag }
    }
  }
  const { uploadId } = upload
  const completed = { bucket, key: 'm', uploadId, parts, conditions: {}, claimed: {} }
  t.match(await objects.completeUpload(completed), { kind: 'done' })
  const whole = Buffer.concat(texts)
  const hitsBefore = store.parts.blobCache.counts.hits
  for (let round = 0; round < 4; round += 1) t.ok((await read(store, 'm')).equals(whole))
  t.equal(store.parts.blobCache.counts.hits - hitsBefore, 2, 'the short one, from the third on')
  t.equal((await find(store, 'm')).readAtHand?.({ first: 0, last: 9 }), undefined)
})

t.test('of encrypted objects no plain byte is kept', async (t) => {
  const customerKey = { key: Buffer.alloc(32, 1), keyMd5: 'md5' }
  const text = Buffer.from('this text must not be found in memory '.repeat(100))
  for (const encryption of [{ kind: 'SSE-S3' }, { kind: 'SSE-C', customerKey }] as const) {
    const store = await openMemoryStore()
    const key = encryption.kind === 'SSE-C' ? customerKey : undefined
    await put(store, 'k', text, encryption)
    await warm(store, 'k', key)
    const { version } = await find(store, 'k')
    const kept = store.parts.blobCache.find(version.blob!)!
    t.equal(kept.length, version.blob!.bytes)
    t.notOk(Buffer.from(kept).includes('this text'))
    loseAllDrives(store)
    t.ok((await read(store, 'k', key)).equals(text), 'opened anew for each reader')
    t.equal((await find(store, 'k')).readAtHand?.({ first: 0, last: 9 }), undefined)
    if (!key) continue
    const wrong = { ...customerKey, key: Buffer.alloc(32, 2) }
    await t.rejects(read(store, 'k', wrong), 'another key opens nothing')
  }
})

t.test('what could not be read is not kept', async (t) => {
  const store = await openMemoryStore()
  const bytes = seeded.bytes(BYTES)
  await put(store, 'k', bytes)
  await read(store, 'k')
  const drives = [...store.node.drives.keys()]
  loseAllDrives(store)
  await t.rejects(read(store, 'k'), { code: 'SHARDS_AWAY' })
  t.equal(store.parts.blobCache.bytes, 0)
  for (const driveId of drives) store.node.failed.delete(driveId)
  t.ok((await read(store, 'k')).equals(bytes))
})

t.test('damage is told of by who reads the drives, and by nobody else', async (t) => {
  const store = await openMemoryStore()
  const bytes = seeded.bytes(BYTES)
  await put(store, 'k', bytes)
  await read(store, 'k')
  const { version } = await find(store, 'k')
  store.node.failed.add(version.blob!.drives[0]!)
  t.ok((await read(store, 'k')).equals(bytes))
  const told = store.reports.length
  t.ok(told > 0)
  t.ok((await read(store, 'k')).equals(bytes))
  t.equal(store.reports.length, told, 'memory knows nothing of drives')
})
