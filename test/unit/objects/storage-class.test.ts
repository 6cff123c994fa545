// Storage classes choose erasure codes: what REDUCED_REDUNDANCY saves, and what it loses.
import t from 'tap'
import { nameCode } from '../../../src/kit/erasure-code.ts'
import { TooFewShards } from '../../../src/objects/blob-shards.ts'
import type { StoredObject } from '../../../src/objects/object-store.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from './memory-store.ts'

const random = new Seeded(23)
const { signal } = new AbortController()
const SMALL = random.bytes(1000)
const LARGE = random.bytes(1_500_000)

async function put(store: MemoryStore, key: string, storageClass: string, bytes: Uint8Array) {
  const { objects, bucket } = store
  const attributes = { headers: {}, userMetadata: {}, storageClass }
  const body = bodyOf(bytes)
  const answer = await objects.put({ bucket, key, attributes, conditions: {}, body, signal })
  if (answer.kind !== 'done') throw new Error(answer.kind)
  return answer.version
}

async function findObject({ objects, bucket }: MemoryStore, key: string): Promise<StoredObject> {
  const found = await objects.find(bucket, key)
  if (found.kind !== 'found') throw new Error(`${key}: ${found.kind}`)
  return found.object
}

async function readAll(store: MemoryStore, key: string): Promise<Buffer> {
  const object = await findObject(store, key)
  return collect(object.read({ first: 0, last: object.version.bytes - 1 }, { signal }))
}

t.test('each class has its code, large and small', async (t) => {
  const store = await openMemoryStore(6)
  const rows: [storageClass: string, large: string, small: string, shards: number][] = [
    ['STANDARD', '4+2', '1+2', 9],
    ['REDUCED_REDUNDANCY', '4+1', '1+1', 7],
    ['GLACIER', '4+2', '1+2', 9],
    ['ONEZONE_IA', '4+2', '1+2', 9],
  ]
  for (const [storageClass, large, small, shards] of rows) {
    const before = store.node.shardCount
    const [wide, narrow] = [
      await put(store, `large ${storageClass}`, storageClass, LARGE),
      await put(store, `small ${storageClass}`, storageClass, SMALL),
    ]
    t.equal(nameCode(wide.blob!.code), large, storageClass)
    t.equal(nameCode(narrow.blob!.code), small, storageClass)
    t.equal(store.node.shardCount - before, shards, `shards of ${storageClass}`)
    t.ok(LARGE.equals(await readAll(store, `large ${storageClass}`)))
    t.ok(SMALL.equals(await readAll(store, `small ${storageClass}`)))
  }
})

t.test('two lost drives lose what is reduced, and nothing else', async (t) => {
  const store = await openMemoryStore(6)
  for (const [size, bytes] of [
    ['large', LARGE],
    ['small', SMALL],
  ] as const) {
    const { blob } = await put(store, `reduced ${size}`, 'REDUCED_REDUNDANCY', bytes)
    await put(store, `standard ${size}`, 'STANDARD', bytes)
    const [first, second] = blob!.drives
    store.node.failed.add(first!)
    t.ok(bytes.equals(await readAll(store, `reduced ${size}`)), `${size}: one drive is spared`)
    store.node.failed.add(second!)
    await t.rejects(readAll(store, `reduced ${size}`), TooFewShards, `${size}: two are not`)
    t.ok(bytes.equals(await readAll(store, `standard ${size}`)), `${size}: but here they are`)
    store.node.failed.clear()
  }
})

t.test('writes with drives lost keep the parity of their class', async (t) => {
  const store = await openMemoryStore(6)
  for (const [lost, code] of [
    [1, '4+1'],
    [2, '3+1'],
    [3, '2+1'],
  ] as const) {
    store.node.failed.add(lost)
    await store.parts.writeRule.doWithout(lost)
    const { blob } = await put(store, `lost ${lost}`, 'REDUCED_REDUNDANCY', LARGE)
    t.equal(nameCode(blob!.code), code, `${lost} drives lost`)
    t.ok(LARGE.equals(await readAll(store, `lost ${lost}`)))
  }
  const { blob } = await put(store, 'failing', 'REDUCED_REDUNDANCY', LARGE)
  t.equal(blob!.drives?.includes(1), false)
})

t.test('a drive that fails under a write costs one shard, not the write', async (t) => {
  const store = await openMemoryStore(6)
  let failed: number | undefined
  store.node.beforeWrite = (driveId) => {
    failed ??= driveId
    if (driveId === failed) store.node.failed.add(driveId)
  }
  await put(store, 'k', 'REDUCED_REDUNDANCY', LARGE)
  t.ok(LARGE.equals(await readAll(store, 'k')))
})

t.test('parts follow the class of their upload', async (t) => {
  const store = await openMemoryStore(6)
  const { objects, bucket } = store
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'REDUCED_REDUNDANCY' }
  const upload = await objects.createUpload(bucket, 'k', attributes)
  const body = bodyOf(LARGE)
  const put = await objects.putPart({ bucket, key: 'k', upload, number: 1, body, signal })
  if (put.kind !== 'done') throw new Error(put.kind)
  t.equal(nameCode(put.part.blob!.code), '4+1')
})

t.test('another code at another start leaves old objects as they are', async (t) => {
  const store = await openMemoryStore(6)
  await put(store, 'old', 'REDUCED_REDUNDANCY', LARGE)
  const wider = { ...store.parts.reducedCode(), dataCount: 5 }
  store.parts.reducedCode = () => wider
  const { blob } = await put(store, 'new', 'REDUCED_REDUNDANCY', LARGE)
  t.equal(nameCode(blob!.code), '5+1')
  for (const key of ['old', 'new']) {
    const { version } = await findObject(store, key)
    store.node.failed.add(version.blob!.drives[0]!)
    t.ok(LARGE.equals(await readAll(store, key)), key)
    store.node.failed.clear()
  }
})
