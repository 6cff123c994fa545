// Small blobs in memory: within their bound, those that are used stay, and a walk over everything drives nothing out.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { kibibytes, mebibytes } from '../../../src/kit/bytes.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import type { Uid } from '../../../src/kit/uid.ts'
import { BlobCache, type CachedAs } from '../../../src/objects/blob-cache.ts'
import { listBlobCacheMetrics } from '../../../src/objects/metrics.ts'

const BLOB_BYTES = 1000

t.before(() => prepareDigests())

function blobOf(number: number, part = 0, bytes = BLOB_BYTES): CachedAs {
  return { uid: String(number).padStart(32, '0') as Uid, part, bytes }
}

function bytesOf({ uid, part, bytes }: CachedAs): Buffer {
  return Buffer.alloc(bytes, `${uid}.${part} `)
}

/** As a reader does that found the blob on its drives. */
function readFromDrives(cache: BlobCache, blob: CachedAs): void {
  if (cache.isWanted(blob)) cache.keep(blob, bytesOf(blob))
}

t.test('what is read a second time is there the third time', async (t) => {
  const cache = new BlobCache()
  const blob = blobOf(1)
  t.equal(cache.find(blob), undefined)
  t.equal(cache.isWanted(blob), false, 'once is nothing')
  t.equal(cache.find(blob), undefined)
  t.equal(cache.isWanted(blob), true)
  cache.keep(blob, bytesOf(blob))
  t.strictSame(cache.find(blob), bytesOf(blob))
  t.equal(cache.find(blobOf(2)), undefined, 'another blob')
  t.equal(cache.find(blobOf(1, 1)), undefined, 'a part of the same name')
})

t.test('bytes that memory has changed are given to nobody', async (t) => {
  const cache = new BlobCache()
  const blob = blobOf(1)
  const bytes = bytesOf(blob)
  cache.keep(blob, bytes)
  bytes[500]! ^= 4
  t.equal(cache.find(blob), undefined)
  t.equal(cache.bytes, 0, 'and kept no longer')
  cache.keep(blob, bytesOf(blob).subarray(1))
  t.equal(cache.find(blob), undefined, 'too few are not all')
  cache.keep(blob, bytesOf(blob))
  t.strictSame(cache.find(blob), bytesOf(blob))
})

t.test('long blobs are neither looked for nor kept', async (t) => {
  const cache = new BlobCache({ maxBlobBytes: 1000 })
  const long = blobOf(1, 0, 1001)
  t.notOk(cache.isWanted(long) || cache.isWanted(long))
  cache.keep(long, bytesOf(long))
  t.equal(cache.find(long), undefined)
  t.equal(cache.bytes, 0)
  t.strictSame(cache.counts, { hits: 0, misses: 0 })
})

t.test('memory is bounded, and what is in use stays', async (t) => {
  const maxBytes = 50_000
  const cache = new BlobCache({ maxBytes })
  const used = blobOf(0)
  let most = 0
  for (let round = 0; round < 2000; round += 1) {
    if (round % 10 === 0) {
      const found = cache.find(used)
      if (round > 10 && !bytesOf(used).equals(found ?? Buffer.alloc(0))) t.fail(`round ${round}`)
      if (found === undefined) readFromDrives(cache, used)
    }
    const other = blobOf(round + 1)
    cache.isWanted(other)
    readFromDrives(cache, other)
    if (!bytesOf(other).equals(cache.find(other) ?? Buffer.alloc(0))) t.fail(`round ${round}`)
    most = Math.max(most, cache.bytes)
  }
  t.ok(most <= maxBytes, `${most} of ${maxBytes} bytes`)
  t.ok(most > maxBytes / 2, 'and they are made use of')
  t.equal(cache.find(blobOf(1)), undefined, 'what nobody asked for again is gone')
})

t.test('what there is room for stays, in whatever order it is read', (t) => {
  const count = 35
  const cache = new BlobCache({ maxBytes: count * 1_400 })
  const blobs = Array.from({ length: count }, (_, number) => blobOf(number))
  for (const blob of blobs) cache.keep(blob, bytesOf(blob))
  for (let round = 0; round < 1000; round += 1) {
    const blob = blobs[(round * 17) % count]!
    if (!bytesOf(blob).equals(cache.find(blob) ?? Buffer.alloc(0))) t.fail(`round ${round}`)
    if (round % 50 === 0) cache.keep(blob, bytesOf(blob))
  }
  t.equal(cache.bytes, count * 1_400)
  t.end()
})

t.test(
  'of what is used there is room for one less when another comes, and for a longer one of several',
  (t) => {
    const count = 20
    const cache = new BlobCache({ maxBytes: count * 1_400 })
    const here = (): number =>
      Array.from({ length: count }, (_, number) => blobOf(number)).filter((blob) =>
        cache.find(blob),
      ).length
    for (let number = 0; number < count; number += 1)
      cache.keep(blobOf(number), bytesOf(blobOf(number)))
    t.equal(here(), count)
    const other = blobOf(count)
    cache.keep(other, bytesOf(other))
    t.strictSame(cache.find(other), bytesOf(other))
    t.equal(here(), count - 1)
    const long = blobOf(count + 1, 0, 10 * 1_400 - 400)
    cache.keep(long, bytesOf(long))
    t.strictSame(cache.find(long), bytesOf(long))
    t.equal(here() + (cache.find(other) ? 1 : 0), count - 10)
    t.equal(cache.bytes, count * 1_400)
    t.end()
  },
)

t.test('what was dropped, or is kept anew, is not held any more', (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const heldBytes = (): number => {
    gc()
    gc() // What the one before found is freed by another thread, which is waited for.
    return process.memoryUsage().arrayBuffers
  }
  const before = heldBytes()
  const bytes = kibibytes(64)
  const roomy = new BlobCache()
  const narrow = new BlobCache({ maxBytes: mebibytes(1) })
  for (let round = 0; round < 2_000; round += 1) {
    roomy.keep(blobOf(round % 4, 0, bytes), Buffer.alloc(bytes, round))
    narrow.keep(blobOf(round, 0, bytes), Buffer.alloc(bytes, round))
    if (round % 3 === 0) narrow.find(blobOf(round, 0, bytes))
  }
  const held = heldBytes() - before
  t.ok(held < mebibytes(8), `${held} bytes of 250 MiB that were kept`)
  t.ok(roomy.bytes + narrow.bytes > mebibytes(1))
  t.end()
})

t.test('what is kept twice counts once', async (t) => {
  const cache = new BlobCache({ maxBytes: 20_000 })
  const blob = blobOf(1)
  cache.keep(blob, bytesOf(blob))
  const once = cache.bytes
  for (let round = 0; round < 100; round += 1) cache.keep(blob, bytesOf(blob))
  t.equal(cache.bytes, once)
})

t.test('a walk over more than there is room for drives nothing out', async (t) => {
  const cache = new BlobCache({ maxBytes: 20_000, maxSeen: 64 })
  const used = blobOf(0)
  cache.keep(used, bytesOf(used))
  for (let walk = 0; walk < 2; walk += 1)
    for (let number = 1; number < 1000; number += 1) readFromDrives(cache, blobOf(number))
  t.strictSame(cache.find(used), bytesOf(used))
})

t.test('hits, misses and memory are metrics', async (t) => {
  const cache = new BlobCache()
  const registry = new Registry()
  listBlobCacheMetrics(cache, registry)
  const blob = blobOf(1)
  for (let round = 0; round < 5; round += 1) {
    if (cache.find(blob) === undefined) readFromDrives(cache, blob)
    if (round === 2) await registry.metrics()
  }
  const text = await registry.metrics()
  t.match(text, 'kintsugi_small_blob_reads_total{outcome="miss"} 2')
  t.match(text, 'kintsugi_small_blob_reads_total{outcome="hit"} 3')
  t.match(text, `kintsugi_small_blob_cache_bytes ${cache.bytes}`)
})
