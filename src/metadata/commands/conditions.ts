// Preconditions of a write against the current version (s3-wire 64 to 68), decided in log order.
import type { Refused, WriteConditions } from '../contract.ts'
import type { ObjectVersion } from '../records.ts'

/** Why the conditions forbid a write over `current`; undefined when they allow it. */
export function checkConditions(
  { ifMatch, ifNoneMatch }: WriteConditions,
  current: ObjectVersion | undefined,
): Refused | undefined {
  if (ifMatch && !current) return { kind: 'missing' }
  if (ifMatch && !matches(ifMatch, current)) {
    return { kind: 'condition-failed', condition: 'If-Match' }
  }
  if (ifNoneMatch && matches(ifNoneMatch, current)) {
    return { kind: 'condition-failed', condition: 'If-None-Match' }
  }
  return undefined
}

function matches(etags: string[], current: ObjectVersion | undefined): boolean {
  return current !== undefined && etags.some((etag) => etag === '*' || etag === current.etag)
}
