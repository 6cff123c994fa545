// put-part: adds a part to an upload under way; a part of the same number is replaced.
import type { Part } from '../records.ts'
import { partKey, uploadKey } from '../rows/keys.ts'
import { decodePartRow, encodePartRow } from '../rows/part-row.ts'
import { answerChange } from './answer-change.ts'
import { discardParts, oweShards } from './become-garbage.ts'
import { refusesCommands } from './bucket-gate.ts'
import { type CommandOf, type Rule, refuse } from './decision.ts'
import { timeMs } from './log-time.ts'

/** `no-upload` where it was completed or aborted meanwhile: the blob of the part is named by nothing then. */
export const putPart: Rule<'put-part'> = {
  async decide(command, context) {
    const { bucket, key, uploadId } = command
    const { view } = context
    const part = partAt(command, context.time)
    const rowKey = partKey(uploadId, part.number)
    const [gone, upload, row] = await Promise.all([
      refusesCommands(view, bucket),
      view.get(uploadKey(bucket.id, Buffer.from(key), uploadId)),
      view.get(rowKey),
    ])
    if (gone) return refuse({ kind: 'bucket-gone' })
    if (!upload) return refuse({ kind: 'no-upload' })

    const replaced = row ? [decodePartRow(row)] : []
    const unused = replaced.filter(({ blob }) => blob?.uid !== part.blob?.uid)
    const batch = [
      { key: rowKey, value: encodePartRow(part) },
      ...discardParts(bucket.id, unused, context),
      ...oweShards({ bucketId: bucket.id, key, uploadId }, part.blob),
      answerChange(command, context),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done', part } }
  },

  repeat: (command, { time }) => ({ kind: 'done', part: partAt(command, time) }),
}

function partAt({ part }: CommandOf<'put-part'>, time: bigint): Part {
  return { ...part, modifiedMs: timeMs(time) }
}
