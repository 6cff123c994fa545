// PUT object: the body becomes the object. Everything that can be refused is refused before it is read.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
import type { Call, Reply } from '../call.ts'
import { DEFAULT_CHECKSUM } from '../headers/checksum-headers.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { parseWriteConditions } from '../headers/write-conditions.ts'
import { describeWritten } from '../reply.ts'
import { findBucket } from './steps/find-bucket.ts'
import { describeNewObject } from './steps/new-object.ts'
import { refusal, refuseEarly } from './steps/refuse.ts'
import { refuseTooLarge } from './steps/refuse-size.ts'

export async function putObject(call: Call): Promise<Reply> {
  const { key, headers, body, objects, signal } = call
  const bucket = findBucket(call)
  refuseHeaders(headers)
  const described = describeNewObject(call, bucket)
  const conditions = parseWriteConditions(headers)
  refuseTooLarge(body.bytes)
  await refuseEarly(call, bucket, conditions)
  const outcome = await objects.put({
    bucket,
    key,
    ...described,
    conditions,
    body: body.open(DEFAULT_CHECKSUM),
    signal,
  })
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  return { status: 200, headers: describeWritten(bucket, outcome.version) }
}
