// put-object: makes a version the latest. What was there before becomes garbage, or stays below where versions are kept.
import { annotated } from './annotate.ts'
import { answerChange } from './answer-change.ts'
import { oweShards } from './become-garbage.ts'
import { checkConditions } from './conditions.ts'
import { type CommandOf, type Rule, refuse } from './decision.ts'
import { readKey } from './key-state.ts'
import { putOnTop } from './put-on-top.ts'
import { versionAt } from './version-at.ts'

/** Conditions hold of the version that is current in the order of the log, not of the one that the sender saw. */
export const putObject: Rule<'put-object'> = {
  async decide(command, context) {
    const { bucket, key, conditions } = command
    const state = await readKey(command, context.view)
    if (state === 'bucket-gone') return refuse({ kind: 'bucket-gone' })
    const refused = checkConditions(conditions, state.current)
    if (refused) return refuse(refused)

    const { version, rows } = versionOf(command, context.time)
    const placed = await putOnTop(state, version, context)
    if (placed === 'locked') return refuse({ kind: 'locked' })
    const batch = [
      ...placed,
      ...rows,
      ...(command.annotations ?? []).flatMap(({ blob }) =>
        oweShards({ bucketId: bucket.id, key }, blob),
      ),
      ...oweShards({ bucketId: bucket.id, key }, version.blob),
      answerChange(command, context),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done', version } }
  },

  repeat: (command, { time }) => ({
    kind: 'done',
    version: versionOf(command, time).version,
  }),
}

function versionOf(command: CommandOf<'put-object'>, time: bigint) {
  return annotated(versionAt(command.version, command, time), command.annotations, time)
}
