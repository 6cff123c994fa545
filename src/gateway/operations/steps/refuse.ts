// What the store refused, in the words of S3.
import { unreachable } from '../../../kit/assert.ts'
import type { Bucket, Refused, WriteConditions } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { isConditional, judgeWrite } from '../../headers/write-conditions.ts'
import { S3Error } from '../../s3-error.ts'
import { noSuchBucket } from './find-bucket.ts'
import { noSuchKey } from './find-object.ts'

/** The error for a write that was not done. */
export function refusal(outcome: Refused, call: Pick<Call, 'bucket' | 'key'>): S3Error {
  switch (outcome.kind) {
    case 'condition-failed':
      return preconditionFailed(outcome.condition)
    case 'missing':
      return noSuchKey(call.key)
    case 'locked':
      return new S3Error(
        'AccessDenied',
        {},
        { message: 'Access Denied because object protected by object lock.' },
      )
    case 'bucket-gone':
      return noSuchBucket(call.bucket)
    default:
      return unreachable(outcome)
  }
}

/** 412. `condition`: the name of the header that does not hold, which the document shows. */
export function preconditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', { Condition: condition })
}

/** Refuses a conditional write that could not succeed now, before its body is read. The commit asks again. */
export async function refuseEarly(
  call: Call,
  bucket: Bucket,
  conditions: WriteConditions,
): Promise<void> {
  if (!isConditional(conditions)) return
  const current = await call.objects.find(bucket, call.key)
  // A delete marker counts as absent (pitfall 66).
  const version = current.kind === 'found' ? current.object.version : undefined
  const failed = judgeWrite(conditions, version)
  if (failed === 'missing') throw refusal({ kind: 'missing' }, call)
  if (failed) throw preconditionFailed(failed)
}
