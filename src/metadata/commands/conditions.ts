// Preconditions of a write against the current version (pitfalls 64 to 68), decided in log order.
import type { ConditionName, KeyRefused, WriteConditions } from '../contract.ts'
import { type ObjectVersion, stateIdOf } from '../records.ts'

/** Why the conditions forbid a write over `current`; undefined when they allow it. */
export function checkConditions(
  conditions: WriteConditions,
  current: ObjectVersion | undefined,
): KeyRefused | undefined {
  const { ifMatch, ifNoneMatch, ifMatchModified, ifMatchBytes, ifCurrent } = conditions
  const wantsSome = [ifMatch, ifMatchModified, ifMatchBytes].some((wanted) => wanted !== undefined)
  if (wantsSome && !current) return { kind: 'missing' }
  if (ifMatch && !matches(ifMatch, current)) return failed('If-Match')
  if (ifMatchModified !== undefined && wholeSecond(current?.modifiedMs) !== ifMatchModified) {
    return failed('x-amz-if-match-last-modified-time')
  }
  if (ifMatchBytes !== undefined && current?.bytes !== ifMatchBytes) {
    return failed('x-amz-if-match-size')
  }
  if (ifNoneMatch && matches(ifNoneMatch, current)) return failed('If-None-Match')
  if (ifCurrent !== undefined && (!current || stateIdOf(current) !== ifCurrent)) {
    return failed('If-Match')
  }
  return undefined
}

/** Times of conditions have no fractions: they are those of the second. */
export function wholeSecond(timeMs: number | undefined): number | undefined {
  return timeMs === undefined ? undefined : Math.floor(timeMs / 1000)
}

function failed(condition: ConditionName): KeyRefused {
  return { kind: 'condition-failed', condition }
}

function matches(etags: string[], current: ObjectVersion | undefined): boolean {
  return current !== undefined && etags.some((etag) => etag === '*' || etag === current.etag)
}
