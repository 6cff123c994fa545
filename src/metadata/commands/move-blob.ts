// move-blob: the shards of a blob lie on other drives now, so the row that names it says so. Nothing else changes: ids,
// times and edits stay, and who copies the version meanwhile need not know.
import type { RowBatch } from '../log/contract.ts'
import type { Blob } from '../records.ts'
import { moveInRow, type Whereabouts, whereaboutsOf } from '../rows/blob-rows.ts'
import { decodeRepairRow } from '../rows/repair-row.ts'
import { forgetOwed, oweShards, repairKeyOf } from './become-garbage.ts'
import { type Rule, refuse, type View } from './decision.ts'
import { isInUse } from './manifest-end.ts'

/** `elsewhere` where the row says neither `from` nor `drives`: a command that comes again is `done`. */
export const moveBlob: Rule<'move-blob'> = {
  async decide(command, { view }) {
    const { rowKey } = command
    const row = await view.get(rowKey)
    const moved = row && moveInRow({ key: rowKey, value: row }, command)
    if (!moved || !(await isInUse(view, rowKey))) return refuse({ kind: 'elsewhere' })
    const { before, after, value } = moved
    const batch = [{ key: rowKey, value }, ...(await changeOwed(view, rowKey, before, after))]
    return { kind: 'answer', batch, answer: { kind: 'done' } }
  },
}

/** The repair row follows the blob: how many shards are missing is in its key. */
async function changeOwed(
  view: View,
  rowKey: Uint8Array,
  before: Blob,
  after: Blob,
): Promise<RowBatch> {
  const where = await readWhereabouts(view, rowKey, before)
  return [...forgetOwed(before), ...oweShards(where, after)]
}

/** Where a blob is: what was known when it was committed is more than its row tells. */
export async function readWhereabouts(
  view: View,
  rowKey: Uint8Array,
  blob: Blob,
): Promise<Whereabouts> {
  const key = repairKeyOf(blob)
  const row = key && (await view.get(key))
  if (!row) return whereaboutsOf(rowKey)
  const { blob: _, ...where } = decodeRepairRow(row)
  return where
}
