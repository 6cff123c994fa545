// HEAD object: what GET would say, without the bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
import type { Call, Reply } from '../call.ts'
import { planRead } from './steps/plan-read.ts'

export async function headObject(call: Call): Promise<Reply> {
  const plan = await planRead(call)
  if (plan.kind === 'not-modified') return { status: 304, headers: plan.headers }
  return { status: plan.status, headers: plan.headers }
}
