// GET and HEAD decide alike what to answer: which bytes, which status, which headers. GET adds the bytes.
import type { ByteRange, CustomerKey, StoredObject } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { judgeRead, parseReadConditions } from '../../headers/conditions.ts'
import { refuseHeaders } from '../../headers/refused-headers.ts'
import { parseResponseOverrides } from '../../headers/response-overrides.ts'
import { describeObject, describeUnmodified } from '../../reply.ts'
import { customerKeyFor } from './customer-key.ts'
import { findBucket } from './find-bucket.ts'
import { findObject } from './find-object.ts'
import { preconditionFailed } from './refuse.ts'
import { refuseRangeOfPart, selectBytes } from './select-bytes.ts'

/** What to answer. */
export type ReadPlan =
  | { kind: 'not-modified'; headers: Record<string, string> }
  | {
      kind: 'send'
      object: StoredObject
      customerKey: CustomerKey | undefined
      status: 200 | 206
      headers: Record<string, string>
      /** undefined: no bytes at all. */
      range: ByteRange | undefined
      bytes: number
    }

/** Finds the object and decides; throws what S3 refuses. */
export async function planRead(call: Call): Promise<ReadPlan> {
  const { headers, query } = call
  refuseHeaders(headers)
  const overrides = parseResponseOverrides(query, call.identity)
  refuseRangeOfPart(call)
  const bucket = findBucket(call)
  const object = await findObject(call, bucket)
  const { version } = object
  const customerKey = customerKeyFor(headers, version.encryption)
  const verdict = judgeRead(parseReadConditions(headers, call.receivedMs), version)
  if (verdict.kind === 'failed') throw preconditionFailed(verdict.condition)
  if (verdict.kind === 'not-modified')
    return { kind: 'not-modified', headers: describeUnmodified(bucket, version) }
  const selection = await selectBytes(call, object)
  const described = { ...describeObject(bucket, version), ...overrides, ...selection.headers }
  return { kind: 'send', object, customerKey, ...selection, headers: described }
}
