// Changes what stands beside the bytes of the version that a request names: tags, retention, legal hold.
import { unreachable } from '../../../kit/assert.ts'
import type { Bucket, ObjectVersion, VersionEdit } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { findObject } from './find-object.ts'
import { refusal } from './refuse.ts'

/** The version as it is afterwards. Throws what reading it would throw, and AccessDenied when it is locked. */
export async function editVersion(
  call: Call,
  bucket: Bucket,
  edit: VersionEdit,
): Promise<ObjectVersion> {
  // Refuses ids that can not be, and says what is missing or a delete marker in the words of a read.
  await findObject(call, bucket)
  const outcome = await call.objects.edit(bucket, call.key, call.query.versionId, edit)
  switch (outcome.kind) {
    case 'done':
      return outcome.version
    case 'no-version':
    case 'delete-marker':
      // It went while this ran: found again, it is refused as it now is.
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
