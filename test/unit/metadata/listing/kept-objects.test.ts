// Listings out of what is kept say what the rows say: after every change, and whatever changes while rows are read.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { ObjectScan } from '../../../../src/metadata/contract.ts'
import { KeptObjects } from '../../../../src/metadata/listing/kept-objects.ts'
import type { RowBatch, RowReader } from '../../../../src/metadata/log/contract.ts'
import { currentKey } from '../../../../src/metadata/rows/keys.ts'
import { encodeVersionRow } from '../../../../src/metadata/rows/version-row.ts'
import { scanObjects } from '../../../../src/metadata/scan.ts'
import { MemoryLog } from '../memory-log.ts'
import { bucket, everything, openFixture } from '../partition-fixture.ts'

const SEED = 20_261_122

const key = fc
  .array(fc.constantFrom('a', 'b', '/', '\0', '\uffff', '\u{10000}'), {
    minLength: 1,
    maxLength: 4,
  })
  .map((found) => found.join(''))
const asked = fc.record({
  prefix: fc.constantFrom('', 'a', 'a/', 'b'),
  delimiter: fc.constantFrom('', '', '/', '\uffff'),
  after: fc.oneof(fc.constant(''), key),
  afterPrefix: fc.boolean(),
  limit: fc.integer({ min: 1, max: 12 }),
})
const step = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key, etag: fc.constantFrom('ab', 'cd', 'x-1') }),
  fc.record({ kind: fc.constant('delete' as const), key }),
  fc.record({ kind: fc.constant('list' as const), asked }),
  // The rows are read while the change is on its way.
  fc.record({ kind: fc.constant('both' as const), key, asked }),
)

t.test('after any changes a page is what the rows say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { partition, log, store } = await openFixture()
      for (const one of steps) {
        if (one.kind === 'put') await store.put(one.key, one.etag)
        else if (one.kind === 'delete') await store.delete(one.key)
        else if (one.kind === 'both')
          await Promise.all([
            partition.scanObjects({ bucket, ...one.asked }),
            store.put(one.key, 'ab'),
          ])
        if (!('asked' in one)) continue
        const scan = { bucket, ...one.asked }
        deepStrictEqual(await partition.scanObjects(scan), await scanObjects(log.rows, scan))
      }
      deepStrictEqual(
        await partition.scanObjects(everything),
        await scanObjects(log.rows, everything),
      )
      deepStrictEqual(log.openCursors, 0)
    }),
    { seed: SEED, numRuns: 400 },
  )
})

t.test('with room for hardly anything pages are the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(key, asked), { maxLength: 30 }), async (steps) => {
      const log = new MemoryLog()
      const kept = new KeptObjects(1500)
      for (const [name, scan] of steps) {
        const batch = put(name, 'ab')
        await log.append(batch)
        kept.settle(batch, undefined)
        const page = await scanObjects(log.rows, { bucket, ...scan }, kept)
        deepStrictEqual(page, await scanObjects(log.rows, { bucket, ...scan }))
      }
    }),
    { seed: SEED, numRuns: 300 },
  )
})

t.test('a listing that was read before reads no rows', async (t) => {
  const { log, kept, list, reads } = await keptFixture(3000)
  const first = await list(everything)
  t.equal(first.length, 1000)
  const rest = await list({ ...everything, after: first.at(-1)!, limit: 3000 })
  t.equal(rest.length, 2000)
  const before = reads()
  t.strictSame(await list({ ...everything, limit: 3000 }), [...first, ...rest])
  t.equal(reads(), before)
  const changes = [...put(first[7]!, 'cd'), ...remove(first[8]!), ...put(`${first[9]!}-next`, 'ef')]
  await log.append(changes)
  kept.settle(changes, undefined)
  const now = await list({ ...everything, limit: 11 })
  const wanted = [...first.slice(0, 8), first[9], `${first[9]}-next`, first[10]]
  t.strictSame(now, wanted)
  t.equal(reads(), before)
})

t.test('buckets of numbers in a row are kept apart', async (t) => {
  const { log, kept, rows } = await keptFixture(10)
  const next = { ...everything, bucket: { ...bucket, id: bucket.id + 1 } }
  await log.append([
    { key: currentKey(next.bucket.id, Buffer.from('a')), value: put('a', 'ab')[0]!.value },
  ])
  for (const scan of [everything, next, everything, next])
    t.strictSame(await scanObjects(rows, scan, kept), await scanObjects(log.rows, scan))
})

t.test('what changed while it was read is not kept', async (t) => {
  const { log, kept, rows } = await keptFixture(10)
  const late: RowReader = {
    get: rows.get,
    scan: (range) => {
      const cursor = rows.scan(range)
      const next = async (count: number) => {
        const found = await cursor.next(count)
        const batch = put('key-00003', 'cd')
        await log.append(batch)
        kept.settle(batch, undefined)
        return found
      }
      return { ...cursor, next }
    },
  }
  await scanObjects(late, everything, kept)
  const page = await scanObjects(rows, everything, kept)
  t.strictSame(page, await scanObjects(log.rows, everything))
})

t.test('where the fate of a change is not known nothing is kept any more', async (t) => {
  const { kept, list, reads } = await keptFixture(10)
  await list(everything)
  kept.settle(put('key-00003', 'cd'), new Error('the log broke'))
  const before = reads()
  await list(everything)
  await list(everything)
  t.equal(reads(), before + 2)
})

/** Rows of so many keys, and how often rows were read. */
async function keptFixture(count: number) {
  const log = new MemoryLog()
  const keys = Array.from({ length: count }, (_, at) => `key-${String(at).padStart(5, '0')}`)
  await log.append(keys.flatMap((name) => put(name, 'ab')))
  const kept = new KeptObjects()
  let scans = 0
  const rows: RowReader = {
    get: log.rows.get,
    scan: (range) => {
      scans += 1
      return log.rows.scan(range)
    },
  }
  const list = async (scan: ObjectScan): Promise<string[]> => {
    const { entries } = await scanObjects(rows, scan, kept)
    return entries.map((entry) => (entry.kind === 'entry' ? entry.key : entry.prefix))
  }
  return { log, kept, rows, list, reads: () => scans }
}

function put(name: string, etag: string): RowBatch {
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
  const version = { ...attributes, versionId: 'v', modifiedMs: 1, bytes: 0, etag }
  return [{ key: currentKey(bucket.id, Buffer.from(name)), value: encodeVersionRow(version) }]
}

function remove(name: string): RowBatch {
  return [{ key: currentKey(bucket.id, Buffer.from(name)), value: undefined }]
}
