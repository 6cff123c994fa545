// create-upload: begins a multipart upload; parts may come from now on.
import type { Upload } from '../records.ts'
import { uploadKey } from '../rows/keys.ts'
import { encodeUploadRow } from '../rows/upload-row.ts'
import { answerChange } from './answer-change.ts'
import { refusesCommands } from './bucket-gate.ts'
import { type CommandOf, type Rule, refuse } from './decision.ts'
import { timeMs } from './log-time.ts'

/** The sender drew the id of the upload, so sent again the command begins the same one; only its time is that of the log. */
export const createUpload: Rule<'create-upload'> = {
  async decide(command, context) {
    const { bucket, key } = command
    if (await refusesCommands(context.view, bucket)) return refuse({ kind: 'bucket-gone' })
    const upload = uploadAt(command, context.time)
    const batch = [
      {
        key: uploadKey(bucket.id, Buffer.from(key), upload.uploadId),
        value: encodeUploadRow(upload),
      },
      answerChange(command, context),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done', upload } }
  },

  repeat: (command, { time }) => ({ kind: 'done', upload: uploadAt(command, time) }),
}

function uploadAt({ upload }: CommandOf<'create-upload'>, time: bigint): Upload {
  return { ...upload, initiatedMs: timeMs(time) }
}
