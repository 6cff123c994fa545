// Rows with pending batches on top, against a dumb twin that applies everything at once.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { PendingRows } from '../../../../src/metadata/commands/pending-rows.ts'
import type { RowBatch } from '../../../../src/metadata/log/contract.ts'
import { MemoryLog } from '../memory-log.ts'

const SEED = 20_251_121

const key = fc.uint8Array({ minLength: 1, maxLength: 2, max: 6 })
const change = fc.record({
  key,
  value: fc.option(fc.uint8Array({ maxLength: 2 }), { nil: undefined }),
})
const batches = fc.array(fc.array(change, { maxLength: 12 }), { maxLength: 6 })

t.test('a view is what the rows will be', async () => {
  await fc.assert(
    fc.asyncProperty(
      batches,
      fc.nat(6),
      fc.nat(6),
      key,
      key,
      fc.integer({ min: 1, max: 9 }),
      check,
    ),
    { seed: SEED, numRuns: 1000 },
  )
})

/** The first `applied` batches are in the rows, those from `settled` on are pending; between them both may be. */
async function check(
  all: RowChange[][],
  applied: number,
  settled: number,
  from: Uint8Array,
  to: Uint8Array,
  limit: number,
): Promise<void> {
  const log = new MemoryLog()
  const view = new PendingRows(log.rows)
  const twin = new Map<string, Uint8Array>()
  for (const [index, batch] of all.entries()) {
    const fate = Promise.resolve(index)
    view.add(batch as RowBatch, fate)
    if (index < applied) await log.append(batch as RowBatch)
    if (index < Math.min(applied, settled)) view.settle(batch as RowBatch, fate)
    for (const { key, value } of batch) {
      if (value) twin.set(hex(key), value)
      else twin.delete(hex(key))
    }
  }
  for (const probe of [from, to]) deepStrictEqual(await view.get(probe), twin.get(hex(probe)))
  const rows = await view.scan({ from, to }, limit)
  const wanted = [...twin.keys()].filter((name) => name >= hex(from) && name < hex(to)).sort()
  deepStrictEqual(
    rows.map((row) => hex(row.key)),
    wanted.slice(0, limit),
  )
  for (const row of rows) deepStrictEqual(row.value, twin.get(hex(row.key)))
}

interface RowChange {
  key: Uint8Array
  value: Uint8Array | undefined
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
