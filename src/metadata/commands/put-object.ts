// put-object: makes a version current; what was current before becomes garbage.
import { currentKey } from '../rows/keys.ts'
import { decodeObjectRow, encodeObjectRow } from '../rows/object-row.ts'
import { answerChange } from './answer-change.ts'
import { discardVersion, oweShards } from './become-garbage.ts'
import { refusesCommands } from './bucket-gate.ts'
import { checkConditions } from './conditions.ts'
import { type Rule, refuse } from './decision.ts'
import { versionAt } from './version-at.ts'

export const putObject: Rule<'put-object'> = {
  async decide(command, context) {
    const { bucket, key, conditions } = command
    const rowKey = currentKey(bucket.id, Buffer.from(key))
    const [gone, row] = await Promise.all([
      refusesCommands(context.view, bucket),
      context.view.get(rowKey),
    ])
    if (gone) return refuse({ kind: 'bucket-gone' })
    const current = row && decodeObjectRow(row)
    const refused = checkConditions(conditions, current)
    if (refused) return refuse(refused)

    const version = versionAt(command.version, command.commandId, context.time)
    const { blob } = version
    const discarded = current ? await discardVersion(bucket.id, current, context, blob?.uid) : []
    const batch = [
      { key: rowKey, value: encodeObjectRow(version) },
      ...discarded,
      ...oweShards({ bucketId: bucket.id, key }, blob),
      answerChange(command, context),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done', version } }
  },

  repeat: (command, { time }) => ({
    kind: 'done',
    version: versionAt(command.version, command.commandId, time),
  }),
}
