// Changes what stands beside the bytes of the version that a request names: tags, retention, legal hold.
import { unreachable } from '../../../kit/assert.ts'
import type { Bucket, ObjectVersion, VersionEdit } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { parseVersionId } from '../../headers/version-id.ts'
import { findObject, markerNotAllowed } from './find-object.ts'
import { refusal } from './refuse.ts'

/** The version as it is afterwards. Throws what reading it would throw, but for delete markers, and AccessDenied when it is locked. */
export async function editVersion(
  call: Call,
  bucket: Bucket,
  edit: VersionEdit,
): Promise<ObjectVersion> {
  parseVersionId(call.query.versionId)
  const outcome = await call.objects.edit(bucket, call.key, call.query.versionId, edit)
  switch (outcome.kind) {
    case 'done':
      return outcome.version
    case 'delete-marker':
      // Where the latest version is a marker a read finds nothing, but a change would be one of the marker.
      throw markerNotAllowed(call, bucket, outcome.marker)
    case 'no-version':
      // A read says what is missing. What it finds came only after this was decided.
      await findObject(call, bucket)
      throw refusal({ kind: 'missing' }, call)
    case 'condition-failed':
    case 'missing':
    case 'locked':
    case 'bucket-gone':
      throw refusal(outcome, call)
    default:
      return unreachable(outcome)
  }
}
