// edit-version: changes tags, retention or legal hold of a version. Its id, time and bytes stay.
import type { Answers, VersionEdit } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import { isDeleteMarker, type ObjectVersion } from '../records.ts'
import { versionKey } from '../rows/keys.ts'
import { encodeVersionRow } from '../rows/version-row.ts'
import { answerChange } from './answer-change.ts'
import { type Rule, refuse } from './decision.ts'
import { findVersion } from './find-version.ts'
import { changeHead, type KeyState, readKey } from './key-state.ts'
import { mayRetain } from './locks.ts'

export const editVersion: Rule<'edit-version'> = {
  async decide(command, context) {
    const { versionId, edit } = command
    const state = await readKey(command, context.view)
    if (state === 'bucket-gone') return refuse({ kind: 'bucket-gone' })
    const { head } = state
    const found =
      versionId === undefined
        ? head?.version
        : await findVersion(context.view, state, head, versionId)
    if (!found) return refuse({ kind: 'no-version' })
    if (isDeleteMarker(found)) return refuse({ kind: 'delete-marker', marker: found })

    const version = edited(found, edit, context.nowMs)
    if (version === 'locked') return refuse({ kind: 'locked' })
    const batch = [...replaceVersion(state, version), answerChange(command, context, { version })]
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
    case 'legal-hold': {
      const { legalHold: _, ...rest } = version
      return edit.on ? { ...rest, legalHold: true } : rest
    }
  }
}

/** Changes that write a version anew where it stands. */
function replaceVersion(state: KeyState, version: ObjectVersion): RowBatch {
  const { head, bucketId, key } = state
  if (head?.version.versionId === version.versionId) {
    return changeHead(state, head, { ...head, version })
  }
  const rowKey = versionKey(bucketId, key, version.versionId)
  return [{ key: rowKey, value: encodeVersionRow(version) }]
}
