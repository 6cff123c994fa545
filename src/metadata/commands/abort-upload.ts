// abort-upload: forgets an upload; its parts become garbage.
import { uploadKey } from '../rows/keys.ts'
import { decodeUploadRow } from '../rows/upload-row.ts'
import { answerChange } from './answer-change.ts'
import { discardParts } from './become-garbage.ts'
import { refusesCommands } from './bucket-gate.ts'
import { wholeSecond } from './conditions.ts'
import { type Rule, refuse } from './decision.ts'
import { forgetParts, readParts } from './upload-parts.ts'

/** `no-upload` also for one that began, or got a part, at `idleSinceMs` or later. Its parts become garbage. */
export const abortUpload: Rule<'abort-upload'> = {
  async decide(command, context) {
    const { bucket, key, uploadId, ifInitiated, idleSinceMs } = command
    const rowKey = uploadKey(bucket.id, Buffer.from(key), uploadId)
    const [gone, upload] = await Promise.all([
      refusesCommands(context.view, bucket),
      context.view.get(rowKey),
    ])
    if (gone) return refuse({ kind: 'bucket-gone' })
    if (!upload) return refuse({ kind: 'no-upload' })
    const { initiatedMs } = decodeUploadRow(upload, uploadId)
    if (ifInitiated !== undefined && wholeSecond(initiatedMs) !== ifInitiated) {
      return refuse({ kind: 'condition-failed', condition: 'x-amz-if-match-initiated-time' })
    }

    const parts = await readParts(context.view, uploadId)
    const lastMs = Math.max(initiatedMs, ...parts.map(({ modifiedMs }) => modifiedMs))
    if (idleSinceMs !== undefined && lastMs >= idleSinceMs) return refuse({ kind: 'no-upload' })
    const batch = [
      { key: rowKey, value: undefined },
      ...forgetParts(uploadId, parts),
      ...discardParts(bucket.id, parts, context),
      answerChange(command, context),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done' } }
  },

  repeat: () => ({ kind: 'done' }),
}
