// Encrypted objects on drives in memory: of each kind, small and striped, whole and in parts, appended to, damaged.
import t, { type Test } from 'tap'
import { sealedBytes } from '../../../src/encryption/seal-format.ts'
import type {
  CustomerKey,
  EncryptionRequest,
  ObjectVersion,
  StoredObject,
} from '../../../src/objects/object-store.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from './memory-store.ts'

const { signal } = new AbortController()
const seeded = new Seeded(44)
const MARKER = 'this text must not be found anywhere'

function keyOf(fill: number): CustomerKey {
  return { key: Buffer.alloc(32, fill), keyMd5: `md5 of ${fill}` }
}

const KINDS: readonly EncryptionRequest[] = [
  { kind: 'SSE-S3' },
  { kind: 'SSE-KMS', keyId: 'photos', context: 'e30=', bucketKey: true },
  { kind: 'SSE-C', customerKey: keyOf(1) },
]

/** Bytes with the marker all over them. */
function textOf(bytes: number): Buffer {
  const text = Buffer.alloc(bytes, seeded.bytes(997))
  for (let at = 0; at + MARKER.length < bytes; at += 20_000) text.write(MARKER, at)
  return text
}

function customerKeyOf(encryption: EncryptionRequest | undefined): CustomerKey | undefined {
  return encryption?.kind === 'SSE-C' ? encryption.customerKey : undefined
}

const plainAttributes = () => ({ headers: {}, userMetadata: {}, storageClass: 'STANDARD' })

async function put(
  store: MemoryStore,
  key: string,
  bytes: Buffer,
  encryption?: EncryptionRequest,
): Promise<ObjectVersion> {
  const outcome = await store.objects.put({
    bucket: store.bucket,
    key,
    attributes: plainAttributes(),
    conditions: {},
    ...(encryption ? { encryption } : {}),
    body: bodyOf(bytes),
    signal,
  })
  if (outcome.kind !== 'done') throw new Error(outcome.kind)
  return outcome.version
}

async function find(store: MemoryStore, key: string): Promise<StoredObject> {
  const found = await store.objects.find(store.bucket, key)
  if (found.kind !== 'found') throw new Error(found.kind)
  return found.object
}

async function read(
  store: MemoryStore,
  key: string,
  customerKey?: CustomerKey,
  range?: { first: number; last: number },
): Promise<Buffer> {
  const object = await find(store, key)
  const all = { first: 0, last: object.version.bytes - 1 }
  return collect(object.read(range ?? all, { signal }, customerKey))
}

/** All cells of all drives. */
function cellsOf({ node }: MemoryStore): Buffer[] {
  return [...node.drives.values()].flatMap((shards) => [...shards.values()].flat())
}

function isAnywhere(store: MemoryStore, text: string): boolean {
  return cellsOf(store).some((cell) => cell.includes(text))
}

t.test('what is read is what was put, of every kind and size', async (t) => {
  const store = await openMemoryStore()
  for (const encryption of KINDS) {
    for (const bytes of [1, 65_536, 131_000, 131_073, 700_000, 3_000_000]) {
      const text = textOf(bytes)
      const key = `${encryption.kind}-${bytes}`
      const version = await put(store, key, text, encryption)
      t.equal(version.bytes, bytes, `${key}: the length is that of the plain bytes`)
      t.equal(version.blob?.bytes, sealedBytes(bytes))
      const customerKey = customerKeyOf(encryption)
      t.ok((await read(store, key, customerKey)).equals(text), key)
      const range = { first: Math.floor(bytes / 3), last: Math.floor((bytes * 2) / 3) }
      const part = await read(store, key, customerKey, range)
      t.ok(part.equals(text.subarray(range.first, range.last + 1)), `a range of ${key}`)
    }
  }
  t.notOk(isAnywhere(store, MARKER), 'no plain text is on any drive')
  await put(store, 'plain', textOf(500_000))
  t.ok(isAnywhere(store, MARKER), 'plain objects are found so')
})

t.test('empty objects have a key and no bytes', async (t) => {
  const store = await openMemoryStore()
  for (const encryption of KINDS) {
    const version = await put(store, 'empty', Buffer.alloc(0), encryption)
    t.match(version, { bytes: 0, encryption: { kind: encryption.kind } })
    t.equal(version.blob, undefined)
    t.equal((await read(store, 'empty', customerKeyOf(encryption))).length, 0)
  }
})

t.test('pitfall 91: the ETag is the MD5 where the store alone has the key', async (t) => {
  const store = await openMemoryStore()
  const text = textOf(1000)
  const plain = await put(store, 'plain', text)
  for (const encryption of KINDS) {
    const one = await put(store, 'a', text, encryption)
    const two = await put(store, 'a', text, encryption)
    if (encryption.kind === 'SSE-S3') t.equal(one.etag, plain.etag)
    else {
      t.match(one.etag, /^[0-9a-f]{32}$/)
      t.not(one.etag, plain.etag)
      t.not(one.etag, two.etag, 'nothing follows from it')
    }
  }
})

t.test('parts of an upload have its key', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket } = store
  for (const encryption of KINDS) {
    const customerKey = customerKeyOf(encryption)
    const upload = await objects.createUpload(bucket, 'm', plainAttributes(), encryption)
    const texts = [textOf(5 * 1024 * 1024), textOf(100_000)]
    const parts: { number: number; etag: string }[] = []
    for (const [index, text] of texts.entries()) {
      const put = { bucket, key: 'm', upload, number: index + 1, body: bodyOf(text), signal }
      const outcome = await objects.putPart({ ...put, ...(customerKey ? { customerKey } : {}) })
      if (outcome.kind !== 'done') throw new Error(outcome.kind)
      parts.push({ number: index + 1, etag: outcome.part.etag })
    }
    const { uploadId } = upload
    const complete = { bucket, key: 'm', uploadId, parts, conditions: {}, claimed: {} }
    const outcome = await objects.completeUpload(complete)
    t.match(outcome, { kind: 'done', version: { encryption: { kind: encryption.kind } } })
    const whole = Buffer.concat(texts)
    t.ok((await read(store, 'm', customerKey)).equals(whole), `${encryption.kind} in parts`)
    const range = { first: 5 * 1024 * 1024 - 70_000, last: 5 * 1024 * 1024 + 70_000 }
    const middle = await read(store, 'm', customerKey, range)
    t.ok(middle.equals(whole.subarray(range.first, range.last + 1)), 'a range over two parts')
  }
  t.notOk(isAnywhere(store, MARKER))
})

t.test('what is appended is encrypted as what was there', async (t) => {
  for (const versioning of [undefined, 'enabled'] as const) {
    const store = await openMemoryStore()
    const { objects } = store
    const changed = await objects.changeBucket(store.bucket, { versioning })
    if (changed.kind !== 'changed') throw new Error(changed.kind)
    for (const encryption of KINDS) {
      const customerKey = customerKeyOf(encryption)
      const first = textOf(200_000)
      const more = textOf(30_000)
      await put({ ...store, bucket: changed.bucket }, encryption.kind, first, encryption)
      const outcome = await objects.append({
        bucket: changed.bucket,
        key: encryption.kind,
        offset: first.length,
        attributes: plainAttributes(),
        conditions: {},
        ...(customerKey ? { customerKey } : {}),
        body: bodyOf(more),
        signal,
      })
      const kind = { encryption: { kind: encryption.kind } }
      t.match(outcome, { kind: 'done', version: kind }, `${versioning} ${encryption.kind}`)
      const whole = await read(store, encryption.kind, customerKey)
      t.ok(whole.equals(Buffer.concat([first, more])))
    }
    t.notOk(isAnywhere(store, MARKER))
  }
})

t.test('drives that are missing are made up for, as for plain objects', async (t) => {
  const store = await openMemoryStore()
  const text = textOf(1_000_000)
  await put(store, 'a', text, KINDS[0])
  const [one, two] = [...store.node.drives.keys()]
  store.node.failed.add(one!).add(two!)
  t.ok((await read(store, 'a')).equals(text))
})

t.test('a flipped bit that no checksum of the drive sees is an error', async (t) => {
  for (const bytes of [1_000, 600_000]) {
    const store = await openMemoryStore()
    await put(store, 'a', textOf(bytes), KINDS[0])
    for (const cell of cellsOf(store)) cell[100]! ^= 4
    await t.rejects(read(store, 'a'), { code: 'SEAL_BROKEN' }, `${bytes} bytes`)
  }
})

t.test('bytes of another object are an error, whatever the drives think', async (t) => {
  const store = await openMemoryStore()
  await put(store, 'one', textOf(1_000), KINDS[0])
  const before = new Set(cellsOf(store))
  await put(store, 'two', textOf(1_000), KINDS[0])
  const other = cellsOf(store).find((cell) => !before.has(cell))!
  for (const cell of before) other.copy(cell)
  await t.rejects(read(store, 'one'), { code: 'SEAL_BROKEN' })
})

t.test('another key of a client is an error', async (t) => {
  const store = await openMemoryStore()
  await put(store, 'a', textOf(1_000), KINDS[2])
  const other = { ...keyOf(2), keyMd5: keyOf(1).keyMd5 }
  await t.rejects(read(store, 'a', other), { code: 'CUSTOMER_KEY_WRONG' })
  await t.rejects(read(store, 'a'), { code: 'CUSTOMER_KEY_WRONG' }, 'no key at all')
})

t.test('a key that does not exist stores nothing', async (t) => {
  const store = await openMemoryStore()
  const request: EncryptionRequest = { kind: 'SSE-KMS', keyId: 'not a key' }
  await t.rejects(put(store, 'a', textOf(100), request), { code: 'NO_SUCH_KEY' })
  const { objects, bucket } = store
  await t.rejects(objects.createUpload(bucket, 'a', plainAttributes(), request), {
    code: 'NO_SUCH_KEY',
  })
  t.equal(store.node.shardCount, 0)
})

t.test('a body that is not as long as it said leaves nothing', async (t) => {
  const store = await openMemoryStore()
  await refuses(t, store, 999)
  await refuses(t, store, 1_001)
  t.equal(store.node.shardCount, 0)
})

async function refuses(t: Test, store: MemoryStore, announced: number): Promise<void> {
  const body = { ...bodyOf(textOf(1_000)), bytes: announced }
  const put = store.objects.put({
    bucket: store.bucket,
    key: 'a',
    attributes: plainAttributes(),
    conditions: {},
    encryption: { kind: 'SSE-S3' },
    body,
    signal,
  })
  await t.rejects(put, { code: 'BODY_LENGTH_WRONG' }, `${announced} announced`)
}
