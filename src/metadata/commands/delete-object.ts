// delete-object: forgets the current version; a missing one is no error and changes nothing.
import { currentKey } from '../rows/keys.ts'
import { decodeObjectRow } from '../rows/object-row.ts'
import { answerChange } from './answer-change.ts'
import { discardVersion } from './become-garbage.ts'
import { refusesCommands } from './bucket-gate.ts'
import { checkConditions } from './conditions.ts'
import { type Rule, refuse } from './decision.ts'

export const deleteObject: Rule<'delete-object'> = {
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
    if (!current) return refuse({ kind: 'done' })

    const batch = [
      { key: rowKey, value: undefined },
      ...(await discardVersion(bucket.id, current, context)),
      answerChange(command, context, { existed: true }),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done' } }
  },

  repeat: () => ({ kind: 'done' }),
}
