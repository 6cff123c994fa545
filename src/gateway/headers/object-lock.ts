// x-amz-object-lock-*: until when a new version may not be deleted (pitfall 118).
import type {
  Bucket,
  ObjectAttributes,
  ObjectVersion,
  Retention,
} from '../../objects/object-store.ts'
import { type Call, type Headers, mayBypassGovernance } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import { isoTime, parseIsoTime } from './dates.ts'

const MODE = 'x-amz-object-lock-mode'
const UNTIL = 'x-amz-object-lock-retain-until-date'
const HOLD = 'x-amz-object-lock-legal-hold'
const BYPASS = 'x-amz-bypass-governance-retention'

const DAY_MS = 24 * 60 * 60 * 1000

/** What a request or a version says of its lock. */
export type Lock = Pick<ObjectAttributes, 'retention' | 'legalHold'>

/** Retention and legal hold that the request asks for; without retention, what the bucket gives by default. */
export function parseLock(headers: Headers, bucket: Bucket, nowMs: number): Lock {
  const asked = parseAskedLock(headers, bucket, nowMs)
  const retention = asked.retention ?? defaultRetention(bucket, nowMs)
  return retention ? { ...asked, retention } : asked
}

/** Only what the request itself asks for: an upload gets the default of its bucket when it is completed. */
export function parseAskedLock(headers: Headers, bucket: Bucket, nowMs: number): Lock {
  const retention = parseRetention(headers, nowMs)
  const legalHold = parseHold(headers)
  if (retention || legalHold !== undefined) requireLock(bucket)
  return {
    ...(retention ? { retention } : {}),
    ...(legalHold === undefined ? {} : { legalHold }),
  }
}

/** What the bucket gives a version that is made now. A year ends on the same day of the calendar. */
export function defaultRetention({ settings }: Bucket, nowMs: number): Retention | undefined {
  const given = settings?.objectLock?.defaultRetention
  if (!given) return undefined
  const { mode, days = 0, years = 0 } = given
  const until = new Date(nowMs + days * DAY_MS)
  until.setUTCFullYear(until.getUTCFullYear() + years)
  return { mode, untilMs: until.getTime() }
}

/** Throws unless versions of the bucket can be locked. */
export function requireLock({ settings }: Bucket): void {
  if (settings?.objectLock) return
  const message = 'Bucket is missing Object Lock Configuration'
  throw new S3Error('InvalidRequest', {}, { message })
}

/** Throws when a lock would have ended before it began. */
export function refusePast(untilMs: number, nowMs: number, argument: string, sent: string): void {
  if (untilMs > nowMs) return
  throw invalidArgument(argument, sent, 'The retain until date must be in the future!')
}

/** Throws where a delete speaks of passing over locks, `false` as well, and the bucket can have none. */
export function refuseBypass(headers: Headers, { settings }: Bucket): void {
  if (!headers[BYPASS] || settings?.objectLock) return
  const message = `${BYPASS} is only applicable to Object Lock enabled buckets.`
  throw new S3Error('InvalidArgument', { ArgumentName: BYPASS }, { message })
}

/** Whether the request asks to pass over a GOVERNANCE retention. boto3 has written `True`. */
export function wantsBypass(headers: Headers): boolean {
  return headers[BYPASS]?.trim().toLowerCase() === 'true'
}

/** Whether the request passes over GOVERNANCE: it asks to, and whoever sent it may. */
export function bypassesGovernance({
  headers,
  identity,
}: Pick<Call, 'headers' | 'identity'>): boolean {
  return wantsBypass(headers) && mayBypassGovernance(identity)
}

/** The headers of GET and HEAD that show the lock of a version. */
export function lockFields({ retention, legalHold }: ObjectVersion): Record<string, string> {
  return {
    ...(retention ? { [MODE]: retention.mode, [UNTIL]: isoTime(retention.untilMs) } : {}),
    ...(legalHold === undefined ? {} : { [HOLD]: legalHold ? 'ON' : 'OFF' }),
  }
}

function parseRetention(headers: Headers, nowMs: number): Retention | undefined {
  const mode = headers[MODE] || undefined
  const until = headers[UNTIL] || undefined
  if (mode === undefined && until === undefined) return undefined
  if (mode === undefined || until === undefined)
    throw halfRetention(mode === undefined ? MODE : UNTIL)
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE')
    throw invalidArgument(MODE, mode, 'Unknown wormMode directive.')
  const untilMs = parseIsoTime(until)
  if (untilMs === undefined)
    throw invalidArgument(UNTIL, until, 'The retain until date must be provided in ISO 8601 format')
  refusePast(untilMs, nowMs, UNTIL, until)
  return { mode, untilMs }
}

function parseHold(headers: Headers): boolean | undefined {
  const hold = headers[HOLD] || undefined
  if (hold === undefined) return undefined
  if (hold === 'ON' || hold === 'OFF') return hold === 'ON'
  throw invalidArgument(HOLD, hold, "Legal Hold must be either of 'ON' or 'OFF'")
}

function halfRetention(missing: string): S3Error {
  const message = `${UNTIL} and ${MODE} must both be supplied`
  return new S3Error('InvalidArgument', { ArgumentName: missing }, { message })
}
