// Whatever commands came before and after a dump: once garbage is collected, every version with bytes comes back, in order,
// and nothing else does, but for uploads of which the report says what was assumed.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { RowTable } from '../../../../src/metadata/rebuild/row-table.ts'
import { isDeleteMarker } from '../../../../src/metadata/records.ts'
import { bucket } from '../partition-fixture.ts'
import { type Listed, type TestDump, versionsOf, Writer } from './rebuild-fixture.ts'

type Step =
  | { kind: 'put' | 'delete' | 'remove' | 'upload-open'; key: string }
  | { kind: 'upload'; key: string; numbers: number[] }
  | { kind: 'dump' | 'collect' | 'pause' }

const key = fc.constantFrom('a', 'a/b', 'c')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), key }) },
  fc.record({ kind: fc.constantFrom('delete', 'remove', 'upload-open'), key }),
  fc.record({
    kind: fc.constant('upload' as const),
    key,
    numbers: fc.constantFrom([1], [1, 2], [1, 2, 3]),
  }),
  fc.record({ kind: fc.constantFrom('dump', 'collect', 'pause') }),
) as fc.Arbitrary<Step>

async function removeLatest(writer: Writer, key: string): Promise<void> {
  const { partition, store } = writer.fixture
  const latest = await partition.getObject({ ...bucket, versioning: 'enabled' }, key)
  if (latest === undefined || latest === 'bucket-gone') return
  await store.remove(key, isDeleteMarker(latest) || latest.versioned ? latest.versionId : 'null')
}

/** Does one step; the dump when it took one. */
async function take(writer: Writer, one: Step): Promise<TestDump | undefined> {
  writer.tick()
  switch (one.kind) {
    case 'put':
      await writer.put(one.key)
      return
    case 'delete':
      await writer.fixture.store.delete(one.key)
      return
    case 'remove':
      return void (await removeLatest(writer, one.key))
    case 'upload':
      await writer.multipart(one.key, one.numbers)
      return
    case 'upload-open':
      await writer.upload(one.key, [1, 2])
      return
    case 'collect':
      await writer.collect()
      return
    case 'pause':
      writer.tick(60_000)
      return
    case 'dump':
      return await writer.dump()
  }
}

function withBytes(versions: readonly Listed[]): string[] {
  return versions.flatMap(({ key, blob }) => (blob ? [`${key} ${blob}`] : []))
}

t.test('rows of any history', async () => {
  const history = fc.record({
    versioned: fc.boolean(),
    steps: fc.array(step, { maxLength: 14 }),
    shuffle: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(history, async ({ versioned, steps, shuffle }) => {
      const writer = await Writer.open()
      if (versioned) writer.fixture.store.setVersioning('enabled')
      let dump: TestDump | undefined
      for (const one of steps) dump = (await take(writer, one)) ?? dump
      await writer.collect()
      const wanted = withBytes(await versionsOf(writer.fixture))
      const { fixture, report } = await writer.rebuild(dump)
      const made = withBytes(await versionsOf(fixture))
      const assumed = new Set(report.uploads.map(({ key, uid }) => `${key} ${uid}`))
      const lost = wanted.filter((one) => !made.includes(one) && !assumed.has(one))
      const extra = made.filter((one) => !wanted.includes(one) && !assumed.has(one))
      assert.deepEqual(lost, [], 'nothing is lost without a word')
      assert.deepEqual(extra, [], 'nothing is made up')
      const both = wanted.filter((one) => made.includes(one))
      assert.deepEqual(
        made.filter((one) => both.includes(one)),
        both,
        'in the order of the versions',
      )
      assert.deepEqual(report.damaged, [])
      if (!shuffle) return
      for (const [name, found] of [...writer.blobs].reverse()) {
        writer.blobs.delete(name)
        writer.blobs.set(name, found)
      }
      const again = await writer.rebuild(dump)
      assert.deepEqual(
        withBytes(await versionsOf(again.fixture)),
        made,
        'in whatever order shards are found',
      )
    }),
    { numRuns: 150 },
  )
})

t.test('a table of rows is a sorted list', async () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 2 })
  const change = fc.record({ key: name, value: fc.option(fc.nat(), { nil: undefined }) })
  const text = (key: Uint8Array): string => Buffer.from(key).toString('hex')
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 2000, size: 'max' }),
      name,
      name,
      (changes, one, other) => {
        const table = new RowTable()
        const twin = new Map<string, string>()
        for (const { key, value } of changes) {
          if (value === undefined) table.delete(key)
          else table.put(key, Buffer.from(`${value}`))
          if (value === undefined) twin.delete(text(key))
          else twin.set(text(key), `${value}`)
        }
        const sorted = [...twin].sort(([left], [right]) => (left < right ? -1 : 1))
        const shown = [...table].map((row) => [text(row.key), Buffer.from(row.value).toString()])
        assert.deepEqual(shown, sorted)
        const [from, to] = [one, other].sort(Buffer.compare) as [Uint8Array, Uint8Array]
        const inside = sorted.filter(([key]) => key >= text(from) && key < text(to))
        assert.deepEqual(
          table.scan({ from, to }).map((row) => text(row.key)),
          inside.map(([key]) => key),
        )
        assert.deepEqual(
          table.scan({ from, to }, 2).map((row) => text(row.key)),
          inside.slice(0, 2).map(([key]) => key),
        )
        for (const { key } of changes.slice(0, 50))
          assert.equal(
            table.get(key) && Buffer.from(table.get(key)!).toString(),
            twin.get(text(key)),
          )
      },
    ),
    { numRuns: 30 },
  )
})
