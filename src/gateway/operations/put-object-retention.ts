// PUT object?retention: until when a version may not be deleted. An empty document lifts a GOVERNANCE retention.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html
import type { Call, Reply } from '../call.ts'
import { bypassesGovernance, refusePast, requireLock } from '../headers/object-lock.ts'
import { versionField } from '../reply.ts'
import { readRetention } from '../xml/requests/object-lock.ts'
import { editVersion } from './steps/edit-version.ts'
import { findBucket } from './steps/find-bucket.ts'

const BODY_BYTES_MAX = 64 * 1024

/** Answers 200; throws AccessDenied where a lock would get weaker, InvalidArgument for a date that is over already. */
export async function putObjectRetention(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const asked = readRetention(await call.body.text(BODY_BYTES_MAX))
  if (asked) refusePast(asked.untilMs, call.receivedMs, 'RetainUntilDate', asked.until)
  requireLock(bucket)
  const version = await editVersion(call, bucket, {
    what: 'retention',
    retention: asked && { mode: asked.mode, untilMs: asked.untilMs },
    bypass: bypassesGovernance(call),
  })
  return { status: 200, headers: versionField(bucket, version) }
}
