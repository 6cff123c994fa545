// edit-version: changes tags, retention or legal hold of a version. Its id, time and bytes stay.
import type { Answers, VersionEdit } from '../contract.ts'
import type { ObjectVersion } from '../records.ts'
import { answerChange } from './answer-change.ts'
import { type Rule, refuse } from './decision.ts'
import { mayRetain } from './locks.ts'
import { findToEdit, replaceVersion } from './version-to-edit.ts'

/** `locked` where a retention would be weakened that the sender may not weaken. */
export const editVersion: Rule<'edit-version'> = {
  async decide(command, context) {
    const found = await findToEdit(command, context.view)
    if (found.kind !== 'found') return refuse(found)
    const changed = edited(found.version, command.edit, context.nowMs)
    if (changed === 'locked') return refuse({ kind: 'locked' })
    const version = { ...changed, editId: command.commandId }
    const batch = [
      ...replaceVersion(found.state, version),
      answerChange(command, context, { version }),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done', version } }
  },

  repeat: (_, done): Answers['edit-version'] => ({ kind: 'done', version: done.version! }),
}

function edited(
  version: ObjectVersion,
  edit: VersionEdit,
  nowMs: number,
): ObjectVersion | 'locked' {
  switch (edit.what) {
    case 'tags': {
      const { tags: _, ...rest } = version
      return edit.tags.length > 0 ? { ...rest, tags: edit.tags } : rest
    }
    case 'retention': {
      const { retention, ...rest } = version
      if (!mayRetain(retention, edit.retention, { nowMs, bypass: edit.bypass })) return 'locked'
      return edit.retention ? { ...rest, retention: edit.retention } : rest
    }
    case 'legal-hold':
      return { ...version, legalHold: edit.on }
  }
}
