// GET and HEAD decide alike what to answer: which bytes, which status, which headers. GET adds the bytes.
import type { Bucket, CustomerKey, StoredObject } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { judgeRead, parseReadConditions } from '../../headers/conditions.ts'
import { refuseHeaders } from '../../headers/refused-headers.ts'
import { parseResponseOverrides } from '../../headers/response-overrides.ts'
import { describeObject, describeUnmodified } from '../../reply.ts'
import { layOutRanges, type RangesLayout } from './byte-ranges.ts'
import { customerKeyFor } from './customer-key.ts'
import { findBucket } from './find-bucket.ts'
import { findAtHand, findObject } from './find-object.ts'
import { preconditionFailed } from './refuse.ts'
import { type OneSelection, refusePart, type Selection, selectBytes } from './select-bytes.ts'

/** What to answer. */
export type ReadPlan =
  | { kind: 'not-modified'; headers: Record<string, string> }
  | ({ kind: 'send' } & Readable & Omit<OneSelection, 'kind'>)
  | ({ kind: 'send-ranges'; status: 206; headers: Record<string, string> } & Readable & {
        layout: RangesLayout
      })

/** What bytes are read of. */
interface Readable {
  object: StoredObject
  customerKey: CustomerKey | undefined
}

/** Finds the object and decides, at once when the object is at hand; throws what S3 refuses. */
export function planRead(call: Call): ReadPlan | Promise<ReadPlan> {
  refuseHeaders(call.headers)
  const overrides = parseResponseOverrides(call.query, call.identity)
  refusePart(call)
  const found = findAtHand(call)
  return found === undefined
    ? findAndPlan(call, overrides)
    : planFound(call, found.bucket, found.object, overrides)
}

async function findAndPlan(call: Call, overrides: Overrides): Promise<ReadPlan> {
  const bucket = await findBucket(call)
  const object = await findObject(call, bucket)
  return await planFound(call, bucket, object, overrides)
}

type Overrides = ReturnType<typeof parseResponseOverrides>

function planFound(
  call: Call,
  bucket: Bucket,
  object: StoredObject,
  overrides: Overrides,
): ReadPlan | Promise<ReadPlan> {
  const { headers } = call
  const { version } = object
  const customerKey = customerKeyFor(call, version.encryption)
  const verdict = judgeRead(parseReadConditions(headers, call.receivedMs), version)
  if (verdict.kind === 'failed') throw preconditionFailed(verdict.condition)
  if (verdict.kind === 'not-modified')
    return { kind: 'not-modified', headers: describeUnmodified(bucket, version) }
  const described = Object.assign(describeObject(bucket, version), overrides)
  const found = { object, customerKey }
  const selection = selectBytes(call, object)
  return selection instanceof Promise
    ? selection.then((chosen) => planSelected(call, found, chosen, described))
    : planSelected(call, found, selection, described)
}

function planSelected(
  call: Call,
  { object, customerKey }: Readable,
  selection: Selection,
  described: Record<string, string>,
): ReadPlan {
  if (selection.kind === 'bytes') {
    const { status, range, bytes, unchecked } = selection
    const all = Object.assign(described, selection.headers)
    return { kind: 'send', status, headers: all, object, customerKey, range, bytes, unchecked }
  }
  const contentType = described['content-type'] ?? 'binary/octet-stream'
  const layout = layOutRanges(
    selection.ranges,
    { bytes: object.version.bytes, contentType },
    call.requestId,
  )
  const all = Object.assign(described, layout.headers)
  return { kind: 'send-ranges', object, customerKey, status: 206, headers: all, layout }
}
