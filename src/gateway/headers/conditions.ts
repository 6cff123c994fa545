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

/** Whether a version may be read, or what forbids it. `not-modified` is 304, for the source of a copy 412 (pitfall 63). */
export type ConditionVerdict =
  | { kind: 'passed' }
  | { kind: 'not-modified'; condition: ConditionName }
  | { kind: 'failed'; condition: ConditionName }

/** Conditions of GET and HEAD. Dates that are none, or lie in the future, are ignored (pitfall 62). */
export function parseReadConditions(headers: Headers, nowMs: number): ReadConditions {
  return parse(headers, OWN_NAMES, nowMs)
}

/** Conditions on the source of a copy. */
export function parseCopySourceConditions(headers: Headers, nowMs: number): ReadConditions {
  return parse(headers, SOURCE_NAMES, nowMs)
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

const OWN_NAMES = namesOf('')
const SOURCE_NAMES = namesOf('x-amz-copy-source-')

function namesOf(prefix: string) {
  return {
    match: `${prefix}if-match`,
    noneMatch: `${prefix}if-none-match`,
    modifiedSince: `${prefix}if-modified-since`,
    unmodifiedSince: `${prefix}if-unmodified-since`,
  }
}

function parse(headers: Headers, names: typeof OWN_NAMES, nowMs: number): ReadConditions {
  const ifMatch = headers[names.match]
  const ifNoneMatch = headers[names.noneMatch]
  const ifModifiedSince = parseHttpDate(headers[names.modifiedSince] ?? '')
  const ifUnmodifiedSince = parseHttpDate(headers[names.unmodifiedSince] ?? '')
  const inFuture = ifModifiedSince !== undefined && ifModifiedSince * 1000 > nowMs
  const conditions: ReadConditions = {}
  if (ifMatch !== undefined) conditions.ifMatch = parseEtags(ifMatch)
  if (ifNoneMatch !== undefined) conditions.ifNoneMatch = parseEtags(ifNoneMatch)
  if (ifModifiedSince !== undefined && !inFuture) conditions.ifModifiedSince = ifModifiedSince
  if (ifUnmodifiedSince !== undefined) conditions.ifUnmodifiedSince = ifUnmodifiedSince
  return conditions
}
