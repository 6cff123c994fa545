// Uploads that got nothing for long are aborted, and no others: not even one whose part comes at the last moment.
import t from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { abortAbandoned } from '../../../src/objects/abandoned-uploads.ts'
import { bodyOf, type MemoryStore, openMemoryStore } from './memory-store.ts'

const ATTRIBUTES = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
const HOUR_MS = 60 * 60_000
const { signal } = new AbortController()

/** The parts as they are `hours` from now. */
function partsAt(store: MemoryStore, hours: number) {
  const now = () => Date.now() + hours * HOUR_MS
  return { objects: store.objects, clock: { now }, log: silentLog }
}

async function beginUpload({ objects, bucket }: MemoryStore, key: string) {
  const upload = await objects.createUpload(bucket, key, ATTRIBUTES)
  const body = bodyOf(Buffer.alloc(1000, key))
  const put = () =>
    objects.putPart({ bucket, key, upload, number: 1, body: bodyOf(Buffer.alloc(9)), signal })
  const part = await objects.putPart({ bucket, key, upload, number: 1, body, signal })
  if (part.kind !== 'done') throw new Error(part.kind)
  return { upload, put }
}

t.test('only what nobody goes on with is aborted', async (t) => {
  const store = await openMemoryStore()
  const { objects, bucket } = store
  for (let count = 0; count < 5; count += 1) await beginUpload(store, `k${count % 2}`)
  t.equal(await abortAbandoned(2 * HOUR_MS, partsAt(store, 1), signal), 0)
  t.equal((await objects.countUploads()).count, 5)
  t.equal(await abortAbandoned(2 * HOUR_MS, partsAt(store, 3), signal), 5)
  t.equal((await objects.countUploads()).count, 0)
  const garbage = await Promise.all(store.partitions.map((one) => one.dueGarbage(1e15, 100)))
  t.equal(garbage.flat().length, 5, 'the parts are garbage')
  await objects.put({
    ...{ bucket, key: 'k0', attributes: ATTRIBUTES, conditions: {} },
    ...{ body: bodyOf(Buffer.alloc(5)), signal },
  })
})

t.test('a part that comes while an upload is looked at saves it', async (t) => {
  const store = await openMemoryStore()
  const { upload, put } = await beginUpload(store, 'k')
  await new Promise((resolve) => setTimeout(resolve, 20))
  const sinceMs = Date.now()
  const { objects, bucket } = store
  const late = {
    listBuckets: () => objects.listBuckets(),
    listUploads: (request: Parameters<typeof objects.listUploads>[0]) =>
      objects.listUploads(request),
    listParts: async (...asked: Parameters<typeof objects.listParts>) => {
      const page = await objects.listParts(...asked)
      t.match(await put(), { kind: 'done' })
      return page
    },
    abortIdleUpload: (...asked: Parameters<typeof objects.abortIdleUpload>) =>
      objects.abortIdleUpload(...asked),
  }
  const parts = { objects: late, clock: { now: () => sinceMs }, log: silentLog }
  t.equal(await abortAbandoned(0, parts, signal), 0)
  t.ok(await objects.findUpload(bucket, 'k', upload.uploadId))
  t.equal(await objects.abortIdleUpload(bucket, 'k', upload.uploadId, Date.now() + 1000), true)
  t.equal(await objects.findUpload(bucket, 'k', upload.uploadId), undefined)
})

t.test('it ends when it is told to', async (t) => {
  const store = await openMemoryStore()
  await beginUpload(store, 'k')
  t.equal(await abortAbandoned(0, partsAt(store, 3), AbortSignal.abort()), 0)
})
