// A head is decoded once from the same bytes, and never taken for that of other bytes.
import t from 'tap'
import { newUid } from '../../../../src/kit/uid.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import type { ObjectVersion } from '../../../../src/metadata/records.ts'
import { decodeHeadRow, encodeHeadRow } from '../../../../src/metadata/rows/head-row.ts'
import { readHeadRow } from '../../../../src/metadata/rows/known-heads.ts'

const world = realWorld()

function rowOf(bytes: number): Uint8Array {
  const version: ObjectVersion = {
    ...{ versionId: newUid(world), modifiedMs: 1, bytes, etag: 'd41d8cd98f00b204e9800998ecf8427e' },
    ...{ headers: {}, userMetadata: {}, storageClass: 'STANDARD' },
  }
  return Uint8Array.from(encodeHeadRow({ version }))
}

t.test('the same bytes are decoded once', async (t) => {
  const row = rowOf(1)
  const head = readHeadRow(row)
  t.same(head, decodeHeadRow(row))
  t.equal(readHeadRow(row), head)
  t.ok(Object.isFrozen(head.version), 'many share it')
})

t.test('a row that changed is other bytes, and another head', async (t) => {
  const [before, after] = [rowOf(1), rowOf(2)]
  readHeadRow(before)
  t.same(readHeadRow(after), decodeHeadRow(after))
  t.notSame(readHeadRow(after), readHeadRow(before))
})

t.test('bytes within others are nobody’s copy: they are not remembered', async (t) => {
  const row = rowOf(3)
  const larger = new Uint8Array(row.length + 8)
  larger.set(row, 8)
  const view = larger.subarray(8)
  t.not(readHeadRow(view), readHeadRow(view))
  t.same(readHeadRow(view), decodeHeadRow(row))
})

t.test('not more than a bound', async (t) => {
  const first = rowOf(4)
  const head = readHeadRow(first)
  const others = rowOf(5)
  for (let at = 0; at < 5000; at += 1) readHeadRow(Uint8Array.from(others))
  t.not(readHeadRow(first), head, 'decoded anew')
  t.same(readHeadRow(first), head)
})
