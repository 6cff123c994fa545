// replace-blob: the bytes of a blob were written anew, with another code and under another uid, so the row that names it
// names those now. What clients see of the object stays as it is; the shards of before are garbage from here on.
import type { Blob } from '../records.ts'
import { referencesIn, replaceInRow } from '../rows/blob-rows.ts'
import { discardBlob, oweShards } from './become-garbage.ts'
import { type Rule, refuse } from './decision.ts'
import { isInUse } from './manifest-end.ts'
import { readWhereabouts } from './move-blob.ts'

/** `elsewhere` where the row names neither blob; `done`, with nothing changed, where it names the new one already. */
export const replaceBlob: Rule<'replace-blob'> = {
  async decide(command, context) {
    const { rowKey, bucketId, uid, blob } = command
    const { view } = context
    const value = await view.get(rowKey)
    if (!value || !(await isInUse(view, rowKey))) return refuse({ kind: 'elsewhere' })
    const row = { key: rowKey, value }
    // Sent twice it is done once.
    if (referencesIn(row).some(({ blob: named }) => isSame(named, blob))) {
      return refuse({ kind: 'done' })
    }
    const replaced = replaceInRow(row, { uid, blob })
    if (!replaced) return refuse({ kind: 'elsewhere' })
    const { before } = replaced
    const where = await readWhereabouts(view, rowKey, before)
    const batch = [
      { key: rowKey, value: replaced.value },
      ...discardBlob({ bucketId, blob: before, readerBytes: before.bytes }, context),
      ...oweShards(where, blob),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done' } }
  },
}

function isSame(left: Blob, right: Blob): boolean {
  return left.uid === right.uid && left.part === right.part
}
