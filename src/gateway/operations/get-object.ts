// GET object: its bytes, or the ranges of them that are asked for.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
import { unreachable } from '../../kit/assert.ts'
import type { Call, Reply } from '../call.ts'
import { checksumFields } from '../headers/checksum-headers.ts'
import { joinRanges } from './steps/byte-ranges.ts'
import { checkBytes } from './steps/checked-bytes.ts'
import { noChunks } from './steps/copied-body.ts'
import { planRead, type ReadPlan } from './steps/plan-read.ts'

/** Answers 200, 206 or 304, at once where nothing has to be waited for; throws NoSuchKey, InvalidRange, PreconditionFailed. */
export function getObject(call: Call): Reply | Promise<Reply> {
  const plan = planRead(call)
  return plan instanceof Promise ? plan.then((found) => send(call, found)) : send(call, plan)
}

function send(call: Call, plan: ReadPlan): Reply | Promise<Reply> {
  switch (plan.kind) {
    case 'not-modified':
      return { status: 304, headers: plan.headers }
    case 'send':
      return sendBytes(call, plan)
    case 'send-ranges':
      return sendRanges(call, plan)
    default:
      return unreachable(plan)
  }
}

type PlanOf<Kind extends ReadPlan['kind']> = Extract<ReadPlan, { kind: Kind }>

function sendBytes(call: Call, plan: PlanOf<'send'>): Reply | Promise<Reply> {
  const { status, headers, object, customerKey, range, bytes } = plan
  // The checksum of a range is made as its bytes pass.
  const atHand = range && !plan.unchecked ? object.readAtHand?.(range) : undefined
  if (atHand !== undefined) return { status, headers, body: { kind: 'bytes', bytes: atHand } }
  const chunks = range ? object.read(range, call, customerKey) : noChunks()
  if (plan.unchecked) return sendChecked(plan, chunks)
  return { status, headers, body: { kind: 'stream', bytes, chunks } }
}

async function sendChecked(
  { status, headers, bytes }: PlanOf<'send'>,
  chunks: AsyncIterable<Uint8Array>,
): Promise<Reply> {
  const checked = await checkBytes(chunks, bytes)
  return {
    status,
    headers: { ...headers, ...checksumFields(checked?.checksum) },
    body: { kind: 'stream', bytes, chunks: checked?.chunks ?? chunks },
  }
}

function sendRanges(call: Call, plan: PlanOf<'send-ranges'>): Reply {
  const { status, headers, object, customerKey, layout } = plan
  const chunks = joinRanges(layout, (range) => object.read(range, call, customerKey))
  return { status, headers, body: { kind: 'stream', bytes: layout.bytes, chunks } }
}
