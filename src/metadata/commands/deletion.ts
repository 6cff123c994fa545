// What becomes of one key that is to be deleted: without a version the object is forgotten, or gets a delete marker over it
// where the bucket keeps versions; with one just that is removed. A missing one is no error and changes nothing.
import type { DeletionOutcome, KeyDeletion, KeyRefused } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import { type AnyVersion, isDeleteMarker, type VersionName } from '../records.ts'
import { checkConditions } from './conditions.ts'
import type { Context } from './decision.ts'
import { findVersion } from './find-version.ts'
import type { KeyState } from './key-state.ts'
import { isLocked } from './locks.ts'
import { putOnTop } from './put-on-top.ts'
import { removeVersion } from './remove-version.ts'
import { type Maker, markerAt } from './version-at.ts'

/** A deletion, and the command that asks for it. */
export interface AskedDeletion extends KeyDeletion, Maker {
  bypass?: true | undefined
}

/** The changes of a deletion, and what is answered. */
export interface Deletion {
  batch: RowBatch
  outcome: DeletionOutcome
}

/** Decides the deletion of a key that is as `state` says. */
export async function decideDeletion(
  asked: AskedDeletion,
  state: KeyState,
  context: Context,
): Promise<Deletion> {
  const { bucket, versionId, conditions } = asked
  const refused = checkConditions(conditions, state.current)
  if (refused) return unchanged(missesMarker(refused, asked, state))

  if (versionId !== undefined) {
    const found = await findVersion(context.view, state, state.head, versionId)
    return await remove(asked, state, found, context)
  }
  if (bucket.versioning !== 'unversioned') return await cover(asked, state, context)
  return await remove(asked, state, state.current, context)
}

/** What a delete marker hides was there: a condition on it failed, unless any object would do. */
function missesMarker(
  refused: KeyRefused,
  { conditions }: KeyDeletion,
  { head }: KeyState,
): KeyRefused {
  const { ifMatch, ifMatchModified } = conditions
  if (refused.kind !== 'missing' || !head || ifMatch?.includes('*')) return refused
  if (ifMatch) return { kind: 'condition-failed', condition: 'If-Match' }
  const isTime = ifMatchModified !== undefined
  const condition = isTime ? 'x-amz-if-match-last-modified-time' : 'x-amz-if-match-size'
  return { kind: 'condition-failed', condition }
}

async function remove(
  { bypass }: AskedDeletion,
  state: KeyState,
  version: AnyVersion | undefined,
  context: Context,
): Promise<Deletion> {
  if (!version) return unchanged({ kind: 'done' })
  if (isLocked(version, { nowMs: context.nowMs, bypass: bypass ?? false }))
    return unchanged({ kind: 'locked' })
  const batch = await removeVersion(state, version, context)
  return { batch, outcome: { kind: 'done', removed: describeRemoved(version) } }
}

/** Puts a delete marker on top. */
async function cover(asked: AskedDeletion, state: KeyState, context: Context): Promise<Deletion> {
  const made = markerAt(asked, context.time)
  const batch = await putOnTop(state, made, context)
  if (batch === 'locked') return unchanged({ kind: 'locked' })
  return { batch, outcome: { kind: 'done', made } }
}

function unchanged(outcome: DeletionOutcome): Deletion {
  return { batch: [], outcome }
}

function describeRemoved(version: AnyVersion): VersionName & { deleteMarker: boolean } {
  const { versionId, versioned } = version
  const deleteMarker = isDeleteMarker(version)
  return { versionId, ...(versioned ? { versioned } : {}), deleteMarker }
}
