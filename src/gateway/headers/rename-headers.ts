// Headers of RenameObject: the old name, conditions on both names, and the token of a request that may come twice.
import { type ObjectVersion, stateIdOf, type WriteConditions } from '../../objects/object-store.ts'
import { checkKey } from '../address.ts'
import type { Headers } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import { judgeRead, parseReadConditions } from './conditions.ts'
import { parseWriteConditions } from './write-conditions.ts'

const SOURCE = 'x-amz-rename-source'
const TOKEN = 'x-amz-client-token'

/** The old name: percent-encoded, with or without a slash in front. */
export function parseRenameSource(headers: Headers): string {
  const header = headers[SOURCE]
  if (header === undefined) {
    const message = 'Missing required header for this request: x-amz-rename-source'
    throw new S3Error('InvalidRequest', {}, { message })
  }
  const key = decode(header.replace(/^\//, ''))
  if (key === '') throw invalidArgument(SOURCE, header, 'Invalid rename source object key')
  checkKey(key)
  return key
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    const elements = { ArgumentName: SOURCE, ArgumentValue: text }
    throw new S3Error('InvalidArgument', elements, {
      message: 'Invalid rename source encoding',
      cause,
    })
  }
}

/** The token; undefined when there is none. */
export function parseClientToken(headers: Headers): string | undefined {
  const token = headers[TOKEN]
  if (token === undefined || /^[!-~]{1,64}$/.test(token)) return token
  throw invalidArgument(TOKEN, token, `${TOKEN} is 1 to 64 characters of printable ASCII.`)
}

/** Throws PreconditionFailed unless the old name may be moved away. */
export function checkRenameSource(headers: Headers, version: ObjectVersion, nowMs: number): void {
  const conditions = parseReadConditions(conditionsOf(headers, `${SOURCE}-`), nowMs)
  const verdict = judgeRead(conditions, version)
  if (verdict.kind === 'passed') return
  throw preconditionFailed(`${SOURCE}-${verdict.condition.toLowerCase()}`)
}

/**
 * Conditions for the write of the new name, where `there` is now. The log knows no dates: those are judged here, and
 * the log makes sure that nothing has changed since.
 */
export function parseRenameTarget(
  headers: Headers,
  there: ObjectVersion | undefined,
  { nowMs, strict }: { nowMs: number; strict: boolean },
): WriteConditions {
  const { 'if-modified-since': modified, 'if-unmodified-since': unmodified, ...others } = headers
  const conditions = parseWriteConditions(others, strict)
  if (modified === undefined && unmodified === undefined) return conditions
  const dates = parseReadConditions(
    { 'if-modified-since': modified, 'if-unmodified-since': unmodified },
    nowMs,
  )
  // Without an object under the new name nothing was modified there.
  const condition = there ? failedDate(dates, there) : missingDate(dates)
  if (condition !== undefined) throw preconditionFailed(condition)
  if (there) return { ...conditions, ifCurrent: stateIdOf(there) }
  return { ...conditions, ifNoneMatch: ['*'] }
}

type Dates = ReturnType<typeof parseReadConditions>

function failedDate(dates: Dates, there: ObjectVersion): string | undefined {
  const verdict = judgeRead(dates, there)
  return verdict.kind === 'passed' ? undefined : verdict.condition
}

function missingDate(dates: Dates): string | undefined {
  return dates.ifModifiedSince === undefined ? undefined : 'If-Modified-Since'
}

function conditionsOf(headers: Headers, prefix: string): Headers {
  const names = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']
  return Object.fromEntries(names.map((name) => [name, headers[prefix + name]]))
}

function preconditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', { Condition: condition })
}
