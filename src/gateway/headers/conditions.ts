// Conditions of reads, in the order of precedence of RFC 9110 (pitfall 60), dates by whole seconds.
import type { Headers } from '../call.ts'
import { parseHttpDate } from './dates.ts'
import { matchesEtag, parseEtags } from './etags.ts'

/** What a request demands of the version that it reads. Times are seconds since 1970. */
export interface ReadConditions {
  ifMatch?: string[]
  ifNoneMatch?: string[]
  ifModifiedSince?: number
  ifUnmodifiedSince?: number
}

/** The name of a condition, as the error shows it. */
export type ConditionName =
  | 'If-Match'
  | 'If-None-Match'
  | 'If-Modified-Since'
  | 'If-Unmodified-Since'

export type ConditionVerdict =
  | { kind: 'passed' }
  | { kind: 'not-modified'; condition: ConditionName }
  | { kind: 'failed'; condition: ConditionName }

/** Conditions of GET and HEAD. Dates that are none, or lie in the future, are ignored (pitfall 62). */
export function parseReadConditions(headers: Headers, nowMs: number): ReadConditions {
  return parse(headers, '', nowMs)
}

/** Conditions on the source of a copy. */
export function parseCopySourceConditions(headers: Headers, nowMs: number): ReadConditions {
  return parse(headers, 'x-amz-copy-source-', nowMs)
}

/** Whether the version may be read. */
export function judgeRead(
  conditions: ReadConditions,
  version: { etag: string; modifiedMs: number },
): ConditionVerdict {
  const { ifMatch, ifNoneMatch } = conditions
  const modified = Math.floor(version.modifiedMs / 1000)
  if (ifMatch && !matchesEtag(ifMatch, version.etag, 'strong'))
    return { kind: 'failed', condition: 'If-Match' }
  // Once If-Match holds, If-Unmodified-Since is not asked any more.
  const unmodified = ifMatch !== undefined || modified <= (conditions.ifUnmodifiedSince ?? Infinity)
  const stale = staleCondition(ifNoneMatch, conditions.ifModifiedSince, version.etag, modified)
  if (!unmodified) return { kind: 'failed', condition: 'If-Unmodified-Since' }
  return stale ? { kind: 'not-modified', condition: stale } : { kind: 'passed' }
}

function staleCondition(
  ifNoneMatch: string[] | undefined,
  ifModifiedSince: number | undefined,
  etag: string,
  modified: number,
): ConditionName | undefined {
  if (ifNoneMatch) return matchesEtag(ifNoneMatch, etag, 'weak') ? 'If-None-Match' : undefined
  return ifModifiedSince !== undefined && modified <= ifModifiedSince
    ? 'If-Modified-Since'
    : undefined
}

function parse(headers: Headers, prefix: string, nowMs: number): ReadConditions {
  const ifMatch = headers[`${prefix}if-match`]
  const ifNoneMatch = headers[`${prefix}if-none-match`]
  const ifModifiedSince = parseHttpDate(headers[`${prefix}if-modified-since`] ?? '')
  const ifUnmodifiedSince = parseHttpDate(headers[`${prefix}if-unmodified-since`] ?? '')
  const inFuture = ifModifiedSince !== undefined && ifModifiedSince * 1000 > nowMs
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: parseEtags(ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: parseEtags(ifNoneMatch) }),
    ...(ifModifiedSince === undefined || inFuture ? {} : { ifModifiedSince }),
    ...(ifUnmodifiedSince === undefined ? {} : { ifUnmodifiedSince }),
  }
}
