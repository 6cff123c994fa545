// delete-object: without a version it forgets the object, or puts a delete marker over it where the bucket keeps
// versions; with one it removes just that. A missing one is no error and changes nothing.
import type { Answers, Refused } from '../contract.ts'
import { type AnyVersion, isDeleteMarker, type VersionName } from '../records.ts'
import { answerChange } from './answer-change.ts'
import { checkConditions } from './conditions.ts'
import { type CommandOf, type Context, type Decision, type Rule, refuse } from './decision.ts'
import { findVersion } from './find-version.ts'
import { type KeyState, readKey } from './key-state.ts'
import { isLocked } from './locks.ts'
import { putOnTop } from './put-on-top.ts'
import { removeVersion } from './remove-version.ts'
import { markerAt } from './version-at.ts'

type DeleteObject = CommandOf<'delete-object'>
type Answer = Answers['delete-object']

export const deleteObject: Rule<'delete-object'> = {
  async decide(command, context) {
    const { bucket, versionId, conditions } = command
    const state = await readKey(command, context.view)
    if (state === 'bucket-gone') return refuse({ kind: 'bucket-gone' })
    const refused = checkConditions(conditions, state.current)
    if (refused) return refuse(missesMarker(refused, command, state))

    if (versionId !== undefined) {
      const found = await findVersion(context.view, state, state.head, versionId)
      return await remove(command, state, found, context)
    }
    if (bucket.versioning !== 'unversioned') return await cover(command, state, context)
    return await remove(command, state, state.current, context)
  },

  repeat: (command, { time, removed, made }) => ({
    kind: 'done',
    ...(removed ? { removed } : {}),
    ...(made ? { made: markerAt(command, time) } : {}),
  }),
}

/** What a delete marker hides was there: a condition on it failed, unless any object would do. */
function missesMarker(refused: Refused, { conditions }: DeleteObject, { head }: KeyState): Refused {
  const { ifMatch, ifMatchModified } = conditions
  if (refused.kind !== 'missing' || !head || ifMatch?.includes('*')) return refused
  if (ifMatch) return { kind: 'condition-failed', condition: 'If-Match' }
  const isTime = ifMatchModified !== undefined
  const condition = isTime ? 'x-amz-if-match-last-modified-time' : 'x-amz-if-match-size'
  return { kind: 'condition-failed', condition }
}

async function remove(
  command: DeleteObject,
  state: KeyState,
  version: AnyVersion | undefined,
  context: Context,
): Promise<Decision<Answer>> {
  if (!version) return refuse({ kind: 'done' })
  const bypass = command.bypass ?? false
  if (isLocked(version, { nowMs: context.nowMs, bypass })) return refuse({ kind: 'locked' })
  const removed = describeRemoved(version)
  const batch = [
    ...(await removeVersion(state, version, context)),
    answerChange(command, context, { removed }),
  ]
  return { kind: 'answer', batch, answer: { kind: 'done', removed } }
}

/** Puts a delete marker on top. */
async function cover(
  command: DeleteObject,
  state: KeyState,
  context: Context,
): Promise<Decision<Answer>> {
  const made = markerAt(command, context.time)
  const placed = await putOnTop(state, made, context)
  if (placed === 'locked') return refuse({ kind: 'locked' })
  const batch = [...placed, answerChange(command, context, { made: true })]
  return { kind: 'answer', batch, answer: { kind: 'done', made } }
}

function describeRemoved(version: AnyVersion): VersionName & { deleteMarker: boolean } {
  const { versionId, versioned } = version
  const deleteMarker = isDeleteMarker(version)
  return { versionId, ...(versioned ? { versioned } : {}), deleteMarker }
}
