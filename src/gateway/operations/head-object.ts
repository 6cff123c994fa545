// HEAD object: what GET would say, without the bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
import type { Call, Reply } from '../call.ts'
import { planRead, type ReadPlan } from './steps/plan-read.ts'

/** Status and headers of GET, of ranges and parts too, but no checksum that has to be made from the bytes of a range. */
export function headObject(call: Call): Reply | Promise<Reply> {
  const plan = planRead(call)
  return plan instanceof Promise ? plan.then(describe) : describe(plan)
}

function describe(plan: ReadPlan): Reply {
  if (plan.kind === 'not-modified') return { status: 304, headers: plan.headers }
  return { status: plan.status, headers: plan.headers }
}
