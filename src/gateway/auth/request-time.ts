// When a request says that it was made, and how far that may be from now (pitfall 19).
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'
import { formatIsoTime, parseBasicTime } from './times.ts'

/** How far a client's clock may be off: 15 minutes, as at AWS. */
export const SKEW_MS_MAX = 15 * 60 * 1000

/** Milliseconds since 1970; x-amz-date wins over Date. Nothing was asked before. */
export function findTime(headers: Headers): number {
  const text = headers['x-amz-date'] ?? headers.date ?? ''
  const ms = parseBasicTime(text) ?? Date.parse(text)
  if (ms >= 0) return ms
  const message = 'AWS authentication requires a valid Date or x-amz-date header'
  throw new S3Error('AccessDenied', {}, { message })
}

/** Throws RequestTimeTooSkewed when `timeMs` is too far from now. */
export function checkSkew(headers: Headers, timeMs: number, nowMs: number): void {
  if (Math.abs(nowMs - timeMs) <= SKEW_MS_MAX) return
  throw new S3Error('RequestTimeTooSkewed', {
    RequestTime: headers['x-amz-date'] ?? headers.date ?? '',
    ServerTime: formatIsoTime(nowMs),
    MaxAllowedSkewMilliseconds: String(SKEW_MS_MAX),
  })
}
