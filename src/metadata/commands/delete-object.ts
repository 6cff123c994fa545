// delete-object: one key, or one version of it (deletion.ts).
import { answerChange } from './answer-change.ts'
import { type Rule, refuse } from './decision.ts'
import { decideDeletion } from './deletion.ts'
import { readKey } from './key-state.ts'
import { markerAt } from './version-at.ts'

/** Answers what was removed, or the delete marker that was put on top. Where nothing changes there is no answer row. */
export const deleteObject: Rule<'delete-object'> = {
  async decide(command, context) {
    const state = await readKey(command, context.view)
    if (state === 'bucket-gone') return refuse({ kind: 'bucket-gone' })
    const { batch, outcome } = await decideDeletion(command, state, context)
    if (outcome.kind !== 'done' || batch.length === 0) return refuse(outcome)
    const { removed } = outcome
    batch.push(answerChange(command, context, removed ? { removed } : { made: true }))
    return { kind: 'answer', batch, answer: outcome }
  },

  repeat: (command, { time, removed, made }) => ({
    kind: 'done',
    ...(removed ? { removed } : {}),
    ...(made ? { made: markerAt(command, time) } : {}),
  }),
}
