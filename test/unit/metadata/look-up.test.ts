// Versions that move while they are looked for: a query never misses one that was there all the time.
import t from 'tap'
import { changeHead } from '../../../src/metadata/commands/key-state.ts'
import { lookUpVersion } from '../../../src/metadata/look-up.ts'
import type { DeleteMarker, ObjectVersion } from '../../../src/metadata/records.ts'
import { versionKey } from '../../../src/metadata/rows/keys.ts'
import { encodeVersionRow } from '../../../src/metadata/rows/version-row.ts'
import { MemoryLog } from './memory-log.ts'

const place = { bucketId: 7, key: Buffer.from('k') }

function object(digit: string): ObjectVersion {
  return {
    headers: {},
    userMetadata: {},
    storageClass: 'STANDARD',
    versionId: `${digit.repeat(25)}0`,
    versioned: true,
    modifiedMs: 1,
    bytes: 0,
    etag: digit,
  }
}

const [oldest, middle, newest] = [object('c'), object('b'), object('a')]
const below = (version: ObjectVersion) => versionKey(place.bucketId, place.key, version.versionId)

/** Rows that change to the next of `batches` before each read from the `from`-th on. */
async function movingRows(from: number, batches: Parameters<MemoryLog['append']>[0][]) {
  const log = new MemoryLog()
  const queue = [...batches]
  await log.append(queue.shift()!)
  let reads = 0
  return {
    get: async (key: Uint8Array) => {
      reads += 1
      const next = reads > from ? queue.shift() : undefined
      if (next) await log.append(next)
      return await log.rows.get(key)
    },
  }
}

t.test('a version that goes below, or comes up, is found wherever the change falls', async (t) => {
  const low = { version: middle, older: true } as const
  const high = { version: newest, older: true } as const
  const oldestRow = { key: below(oldest), value: encodeVersionRow(oldest) }
  const middleRow = { key: below(middle), value: encodeVersionRow(middle) }
  const start = [...changeHead(place, undefined, low), oldestRow]
  const covered = [...changeHead(place, low, high), middleRow]
  const bared = [...changeHead(place, high, low), { key: below(middle), value: undefined }]
  const other = { version: object('9'), older: true } as const
  const coveredAgain = [...changeHead(place, low, other), middleRow]
  for (let from = 0; from < 6; from += 1) {
    const sinking = await movingRows(from, [start, covered])
    t.strictSame(await lookUpVersion(sinking, place, middle.versionId), middle)
    const rising = await movingRows(from, [[...start, ...covered], bared])
    t.strictSame(await lookUpVersion(rising, place, middle.versionId), middle)
    const both = await movingRows(from, [start, covered, bared, coveredAgain])
    t.strictSame(await lookUpVersion(both, place, middle.versionId), middle)
  }
})

t.test('a marker that gives way to an object is not taken for nothing', async (t) => {
  const version: DeleteMarker = {
    versionId: middle.versionId,
    versioned: true,
    deleteMarker: true,
    modifiedMs: 1,
  }
  const marker = { version }
  const head = { version: newest, older: true } as const
  const changes = [changeHead(place, undefined, marker), changeHead(place, marker, head)]
  for (let from = 0; from < 4; from += 1) {
    const found = await lookUpVersion(await movingRows(from, changes), place, undefined)
    t.ok(found && [version.versionId, newest.versionId].includes(found.versionId))
  }
})

t.test('a key that never rests is given up', async (t) => {
  const heads = Array.from({ length: 2000 }, (_, index) => ({
    version: { ...newest, versionId: `${index.toString(32).padStart(25, '0')}0` },
    older: true as const,
  }))
  const rows = await movingRows(
    0,
    heads.map((head, index) => changeHead(place, heads[index - 1], head)),
  )
  await t.rejects(lookUpVersion(rows, place, oldest.versionId), { name: 'MetadataUnavailable' })
})
