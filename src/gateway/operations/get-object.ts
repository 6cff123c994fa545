// GET object: its bytes, or the range of them that is asked for.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
import type { Call, Reply } from '../call.ts'
import { noChunks } from './steps/copied-body.ts'
import { planRead } from './steps/plan-read.ts'

export async function getObject(call: Call): Promise<Reply> {
  const plan = await planRead(call)
  if (plan.kind === 'not-modified') return { status: 304, headers: plan.headers }
  const { status, headers, object, customerKey, range, bytes } = plan
  const chunks = range ? object.read(range, call.signal, customerKey) : noChunks()
  return { status, headers, body: { kind: 'stream', bytes, chunks } }
}
