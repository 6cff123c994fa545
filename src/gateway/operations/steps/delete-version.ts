// Deletes one key, or one version of it: DeleteObject does it once, DeleteObjects for each of many.
import {
  type Bucket,
  type DeleteOutcome,
  type KeyDeletion,
  shownVersionId,
  type WriteConditions,
} from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { bypassesGovernance } from '../../headers/object-lock.ts'
import { parseVersionId } from '../../headers/version-id.ts'
import { noSuchKey } from './find-object.ts'
import { preconditionFailed, refusal } from './refuse.ts'

/** What is to be deleted. */
export interface DeleteAsked {
  key: string
  versionId: string | undefined
  conditions: WriteConditions
}

/** What clients are told. */
export interface Deleted {
  /** Shown id of the delete marker that was made, or that was the version removed. */
  marker: string | undefined
  /** Of the version that was asked for, or of the marker that was made. */
  versionId: string | undefined
}

/** Deletes what is asked for; throws what S3 refuses. What is not there is deleted already. */
export async function deleteVersion(
  call: Call,
  bucket: Bucket,
  { key, versionId, conditions }: DeleteAsked,
): Promise<Deleted> {
  const { key: _, ...asked } = deletionOf({ key, versionId, conditions })
  const outcome = await call.objects.delete(bucket, key, { ...asked, ...bypassOf(call) })
  return describe(outcome, { key, versionId, conditions }, call)
}

/** What the store is asked to delete. Throws what is wrong with the id of a version. */
export function deletionOf({ key, versionId, conditions }: DeleteAsked): KeyDeletion {
  const asked = parseVersionId(versionId)
  if (asked.kind === 'current') return { key, conditions }
  return { key, versionId: asked.versionId, conditions }
}

/** Whether the client passes over GOVERNANCE. */
export function bypassOf(call: Call): { bypass?: true } {
  return bypassesGovernance(call) ? { bypass: true } : {}
}

/** What clients are told of an outcome; throws what S3 refuses. */
export function describe(
  outcome: DeleteOutcome,
  { key, versionId, conditions }: DeleteAsked,
  call: Pick<Call, 'bucket' | 'strict'>,
): Deleted {
  if (outcome.kind === 'done') return describeDeleted(outcome, versionId)
  if (outcome.kind !== 'missing') throw refusal(outcome, { bucket: call.bucket, key })
  if (call.strict) throw strictRefusal(key, conditions)
  return { marker: undefined, versionId }
}

function describeDeleted(
  { removed, made }: Extract<DeleteOutcome, { kind: 'done' }>,
  versionId: string | undefined,
): Deleted {
  if (versionId !== undefined)
    return { marker: removed?.deleteMarker ? versionId : undefined, versionId }
  const marker = made && shownVersionId(made)
  return { marker, versionId: marker }
}

// A condition on a key that is not there is no error (pitfall 68), except on AWS.
function strictRefusal(key: string, { ifMatch }: WriteConditions): Error {
  return ifMatch?.includes('*') ? preconditionFailed('If-Match') : noSuchKey(key)
}
