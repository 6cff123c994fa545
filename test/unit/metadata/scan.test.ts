// Listings against a dumb twin that sorts all keys as bytes and walks them one by one.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { ObjectScan, ScanEntry, ScanPage } from '../../../src/metadata/contract.ts'
import type { RowBatch } from '../../../src/metadata/log/contract.ts'
import type { ListedObject, Upload } from '../../../src/metadata/records.ts'
import { currentKey, uploadKey } from '../../../src/metadata/rows/keys.ts'
import { encodeUploadRow } from '../../../src/metadata/rows/upload-row.ts'
import { encodeVersionRow } from '../../../src/metadata/rows/version-row.ts'
import { scanObjects, scanUploads } from '../../../src/metadata/scan.ts'
import { MemoryLog } from './memory-log.ts'
import { bucket, everything, uidAt } from './partition-fixture.ts'

const SEED = 20_251_121

// Few characters, so that keys share prefixes; zero bytes, the end of the BMP and what lies behind it.
const character = fc.constantFrom(
  'a',
  'b',
  '/',
  '/',
  '\0',
  '\u00ff',
  '\uffff',
  '\u{10000}',
  '\u{10ffff}',
)
const text = fc.array(character, { maxLength: 5 }).map((characters) => characters.join(''))
const key = fc.array(character, { minLength: 1, maxLength: 6 }).map((found) => found.join(''))
const request = fc.record({
  prefix: fc.oneof(fc.constant(''), text),
  delimiter: fc.oneof(fc.constant(''), fc.constant('/'), fc.constant('//'), character),
  after: fc.oneof(fc.constant(''), text),
  afterPrefix: fc.boolean(),
  limit: fc.integer({ min: 0, max: 8 }),
})

t.test('a page of objects is what the dumb twin says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(key, { maxLength: 40 }), request, async (keys, asked) => {
      const log = await logOf(objectRows(keys))
      const page = await scanObjects(log.rows, { bucket, ...asked })
      deepStrictEqual(summary(page), twinPage(keys, asked))
      deepStrictEqual(log.openCursors, 0)
    }),
    { seed: SEED, numRuns: 1500 },
  )
})

t.test('pages put together are the whole listing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(key, { maxLength: 40 }),
      fc.constantFrom('', '/', 'a'),
      fc.integer({ min: 1, max: 5 }),
      async (keys, delimiter, limit) => {
        const log = await logOf(objectRows(keys))
        const all: string[] = []
        let asked = { prefix: '', delimiter, after: '', afterPrefix: false, limit }
        for (;;) {
          const page = await scanObjects(log.rows, { bucket, ...asked })
          all.push(...page.entries.map(nameEntry))
          const last = page.entries.at(-1)
          if (!page.more || !last) break
          asked = { ...asked, after: nameEntry(last), afterPrefix: last.kind === 'prefix' }
        }
        const whole = { ...asked, after: '', afterPrefix: false, limit: 1000 }
        deepStrictEqual(all, twinPage(keys, whole).names)
      },
    ),
    { seed: SEED, numRuns: 300 },
  )
})

t.test('a page of uploads is what the dumb twin says', async () => {
  const names = fc.array(fc.tuple(key, fc.integer({ min: 1, max: 3 })), { maxLength: 15 })
  await fc.assert(
    fc.asyncProperty(names, request, fc.nat(50), async (uploads, asked, pick) => {
      const made = uploads.flatMap(([name, count]) =>
        Array.from({ length: count }, () => ({ name, uploadId: uidAt(1000) })),
      )
      const log = await logOf(
        made.map(({ name, uploadId }) => ({
          key: uploadKey(bucket.id, Buffer.from(name), uploadId),
          value: encodeUploadRow({ ...attributes, uploadId, initiatedMs: 1000 }),
        })),
      )
      const marker = made.length > 0 && pick % 2 === 0 ? made[pick % made.length] : undefined
      const scan = marker
        ? { ...asked, after: marker.name, afterPrefix: false, afterUploadId: marker.uploadId }
        : { ...asked, afterUploadId: '' }
      const page = await scanUploads(log.rows, { bucket, ...scan })
      const wanted = twinPage(
        made.map(({ name }) => name),
        scan,
        made.map(({ uploadId }) => uploadId),
      )
      deepStrictEqual(summary(page), wanted)
    }),
    { seed: SEED, numRuns: 800 },
  )
})

t.test('a common prefix of thousands of keys costs one seek', async (t) => {
  const keys = ['a', 'b', 'c'].flatMap((folder) =>
    Array.from({ length: 2000 }, (_, index) => `${folder}/${index}`),
  )
  const log = await logOf(objectRows([...keys, 'd']))
  const page = await scanObjects(log.rows, { ...everything, delimiter: '/' })
  t.strictSame(summary(page), { names: ['a/', 'b/', 'c/', 'd'], more: false })
  t.ok(log.seeks <= 3, `${log.seeks} seeks`)
})

t.test('other buckets are not seen', async (t) => {
  const rows = [1, 2, 3].flatMap((id) => objectRows([`in-${id}`, '\u{10ffff}'], id))
  const log = await logOf(rows)
  const page = await scanObjects(log.rows, { ...everything, bucket: { ...bucket, id: 2 } })
  t.strictSame(summary(page), { names: ['in-2', '\u{10ffff}'], more: false })
})

t.test('a marker inside a common prefix skips all of it', async (t) => {
  const log = await logOf(objectRows(['a/1', 'a/2', 'b']))
  const page = await scanObjects(log.rows, { ...everything, delimiter: '/', after: 'a/1' })
  t.strictSame(summary(page), { names: ['b'], more: false })
})

const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }

function objectRows(keys: string[], bucketId = bucket.id): RowBatch {
  return keys.map((name) => ({
    key: currentKey(bucketId, Buffer.from(name)),
    value: encodeVersionRow({
      ...attributes,
      versionId: 'v',
      modifiedMs: 1,
      bytes: 0,
      etag: Buffer.from(name).toString('hex'),
    }),
  }))
}

async function logOf(rows: RowBatch): Promise<MemoryLog> {
  const log = new MemoryLog()
  await log.append(rows)
  return log
}

/** Names only; entries also prove that the record is that of the key. */
function summary(page: ScanPage<ListedObject | Upload>): { names: string[]; more: boolean } {
  for (const entry of page.entries) {
    if (entry.kind !== 'entry' || !('etag' in entry.record)) continue
    if (entry.record.etag !== Buffer.from(entry.key).toString('hex'))
      throw new Error('wrong record')
  }
  return { names: page.entries.map(nameEntry), more: page.more }
}

function nameEntry(entry: ScanEntry<unknown>): string {
  if (entry.kind === 'prefix') return entry.prefix
  const { record } = entry
  const isUpload = typeof record === 'object' && record !== null && 'uploadId' in record
  return isUpload ? `${entry.key} ${record.uploadId}` : entry.key
}

interface Twin extends Omit<ObjectScan, 'bucket'> {
  afterUploadId?: string
}

/** The obvious way: sort everything, roll up everything, then drop what is at or before the marker. */
function twinPage(keys: string[], asked: Twin, ids?: string[]): { names: string[]; more: boolean } {
  const names = keys
    .map((name, index) => ({ name, id: ids?.[index] ?? '' }))
    .sort((left, right) => compareText(left.name, right.name) || compareText(left.id, right.id))
    .filter(({ name }) => name.startsWith(asked.prefix))
    .filter(({ name, id }) => isAfter(name, id, asked))
    .map(({ name, id }) => rollUp(name, asked) ?? `${name} ${id}`.trimEnd())
  const distinct = [...new Set(names)]
  return { names: distinct.slice(0, asked.limit), more: distinct.length > asked.limit }
}

function isAfter(name: string, id: string, asked: Twin): boolean {
  if (asked.after === '') return true
  if (asked.afterPrefix && name.startsWith(asked.after)) return false
  const rolled = rollUp(name, asked)
  const order = compareText(rolled ?? name, asked.after)
  if (order === 0 && rolled === undefined && asked.afterUploadId) {
    return compareText(id, asked.afterUploadId) > 0
  }
  return order > 0
}

/** The common prefix that stands for `name`, if one does. */
function rollUp(name: string, { prefix, delimiter }: Twin): string | undefined {
  if (delimiter === '') return undefined
  const found = name.indexOf(delimiter, prefix.length)
  return found < 0 ? undefined : name.slice(0, found + delimiter.length)
}

function compareText(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}
