// One line for each request. No signature, no secret and no query string ever stands in it.
import type { Log } from '../kit/log.ts'

/** What is known of a request when it is over. */
export interface AccessRecord {
  requestId: string
  remoteAddress: string
  method: string
  /** Path as sent, without the query: that may hold a signature. */
  path: string
  operation: string
  accessKeyId: string
  /** 499 when the client went away before it had the whole reply. */
  status: number
  /** S3 error code, '' when there was none. */
  errorCode: string
  bytesIn: number
  bytesOut: number
  ms: number
}

/** The status of a request whose client went away. */
export const CLIENT_GONE = 499

/** Writes the line; what is empty is left out. Nothing is put together for a log that would not write it. */
export function logAccess(log: Log, passage: { record(): AccessRecord }): void {
  if (log.isLevelEnabled?.('info') === false) return
  const record = passage.record()
  const told = Object.entries(record).filter(([, value]) => value !== '')
  log.info({ ...Object.fromEntries(told), ms: Math.round(record.ms * 10) / 10 }, 'request')
}
