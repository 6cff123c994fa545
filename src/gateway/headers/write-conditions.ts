// Conditions of writes. They are decided with the commit (pitfall 67); here they are read, and asked once
// early, so that a write which can not succeed is refused before its body is sent.
import type { ConditionName, ObjectVersion, WriteConditions } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import { parseHttpDate, parseIsoTime } from './dates.ts'
import { matchesEtag, parseEtags, unweak } from './etags.ts'

const MODIFIED = 'x-amz-if-match-last-modified-time'
const SIZE = 'x-amz-if-match-size'
const INITIATED = 'x-amz-if-match-initiated-time'

// Every header that makes a write conditional, known to some operation or to none.
const ALL = [
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  MODIFIED,
  SIZE,
  INITIATED,
]

/** If-Match and If-None-Match of PUT, Complete and Copy; both at once are refused, as on AWS (pitfall 65). */
export function parseWriteConditions(headers: Headers, strict: boolean): WriteConditions {
  refuseAllBut(headers, ['if-match', 'if-none-match'])
  const conditions = parseEtagConditions(headers, strict)
  // AWS takes `*` for a DELETE only.
  if (strict && headers['if-match']?.trim() === '*') throw notImplemented('If-Match')
  return conditions
}

/** DELETE may ask besides for the time and the size of what it deletes (pitfall 68). */
export function parseDeleteConditions(headers: Headers, strict: boolean): WriteConditions {
  refuseAllBut(headers, ['if-match', 'if-none-match', MODIFIED, SIZE])
  const { [MODIFIED]: modified, [SIZE]: size } = headers
  return {
    ...parseEtagConditions(headers, strict),
    ...(modified === undefined ? {} : { ifMatchModified: parseSecond(MODIFIED, modified) }),
    ...(size === undefined ? {} : { ifMatchBytes: parseSize(SIZE, size) }),
  }
}

/** The conditions of one key of DeleteObjects, as its elements have them. */
export function conditionsOfKey(asked: {
  etag: string | undefined
  modified: string | undefined
  size: string | undefined
}): WriteConditions {
  const { etag, modified, size } = asked
  return {
    ...(etag === undefined ? {} : { ifMatch: atLeastOne(parseEtags(etag)) }),
    ...(modified === undefined
      ? {}
      : { ifMatchModified: parseSecond('LastModifiedTime', modified) }),
    ...(size === undefined ? {} : { ifMatchBytes: parseSize('Size', size) }),
  }
}

/** When an upload that is to be aborted must have begun, in seconds since 1970. */
export function parseInitiated(headers: Headers): number | undefined {
  refuseAllBut(headers, [INITIATED])
  const initiated = headers[INITIATED]
  return initiated === undefined ? undefined : parseSecond(INITIATED, initiated)
}

/** For operations that know no conditions at all (uploads that begin, and their parts). */
export function refuseConditions(headers: Headers): void {
  refuseAllBut(headers, [])
}

/** Why a write could not be done now, were it to commit; undefined when it could. */
export function judgeWrite(
  conditions: WriteConditions,
  current: Pick<ObjectVersion, 'etag' | 'modifiedMs' | 'bytes'> | undefined,
): ConditionName | 'missing' | undefined {
  const { ifMatch, ifNoneMatch, ifMatchModified, ifMatchBytes } = conditions
  if (!current) return wantsSome(conditions) ? 'missing' : undefined
  if (ifMatch && !matchesEtag(ifMatch, current.etag, 'strong')) return 'If-Match'
  if (ifMatchModified !== undefined && ifMatchModified !== Math.floor(current.modifiedMs / 1000))
    return MODIFIED
  if (ifMatchBytes !== undefined && ifMatchBytes !== current.bytes) return SIZE
  if (ifNoneMatch && matchesEtag(ifNoneMatch, current.etag, 'weak')) return 'If-None-Match'
  return undefined
}

/** Whether there is anything to be judged. */
export function isConditional(conditions: WriteConditions): boolean {
  return conditions.ifNoneMatch !== undefined || wantsSome(conditions)
}

/** Whether the conditions can hold only for an object that is there. */
function wantsSome({ ifMatch, ifMatchModified, ifMatchBytes }: WriteConditions): boolean {
  return [ifMatch, ifMatchModified, ifMatchBytes].some((wanted) => wanted !== undefined)
}

function parseEtagConditions(headers: Headers, strict: boolean): WriteConditions {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifMatch !== undefined && ifNoneMatch !== undefined)
    throw notImplemented('If-Match,If-None-Match')
  if (ifMatch !== undefined) return { ifMatch: atLeastOne(parseEtags(ifMatch)) }
  if (ifNoneMatch === undefined) return {}
  if (strict && ifNoneMatch.trim() !== '*') throw notImplemented('If-None-Match')
  return { ifNoneMatch: atLeastOne(parseEtags(ifNoneMatch).map(unweak)) }
}

// A condition that is not understood is never ignored: the client counts on it (pitfall 69).
function refuseAllBut(headers: Headers, known: readonly string[]): void {
  const found = ALL.find((name) => headers[name] !== undefined && !known.includes(name))
  if (found) throw notImplemented(found)
}

// An empty list would read as "no condition"; an empty ETag matches nothing.
function atLeastOne(etags: string[]): string[] {
  return etags.length === 0 ? [''] : etags
}

// The SDKs write HTTP dates, people what a listing showed them.
function parseSecond(name: string, text: string): number {
  const isoMs = parseIsoTime(text)
  const second = isoMs === undefined ? parseHttpDate(text) : Math.floor(isoMs / 1000)
  if (second === undefined) throw invalidArgument(name, text, `${name} is no date.`)
  return second
}

function parseSize(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text.trim())) return Number(text)
  throw invalidArgument(name, text, `${name} is no number of bytes.`)
}

function notImplemented(header: string): S3Error {
  return new S3Error('NotImplemented', { Header: header })
}
