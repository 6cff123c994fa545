// Deletes one key, or one version of it: DeleteObject does it once, DeleteObjects for each of many.
import {
  type Bucket,
  type DeleteOutcome,
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
  const asked = parseVersionId(versionId)
  const untouched = { marker: undefined, versionId }
  const outcome = await call.objects.delete(bucket, key, {
    ...(asked.kind === 'current' ? {} : { versionId: asked.versionId }),
    conditions,
    ...(bypassesGovernance(call) ? { bypass: true } : {}),
  })
  if (outcome.kind === 'done') return describeDeleted(outcome, versionId)
  if (outcome.kind !== 'missing') throw refusal(outcome, { bucket: call.bucket, key })
  if (call.strict) throw strictRefusal(key, conditions)
  return untouched
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
