// One line for each request. No signature, no secret and no query string ever stands in it.
import type { Log } from '../kit/log.ts'

/**
 * What is known of a request when it is over; undefined is left out of its line. Always made with all fields in this order:
 * objects of changing shapes took a fifth of what a HEAD costs.
 */
export interface AccessRecord {
  requestId: string
  remoteAddress: string | undefined
  method: string
  /** Path as sent, without the query: that may hold a signature. */
  path: string
  operation: string | undefined
  accessKeyId: string | undefined
  /** 499 when the client went away before it had the whole reply. */
  status: number
  /** S3 error code, where there was one. */
  errorCode: string | undefined
  bytesIn: number
  bytesOut: number
  /** To a tenth. */
  ms: number
}

/** The status of a request whose client went away. */
export const CLIENT_GONE = 499

/** Writes the line. Nothing is put together for a log that would not write it. */
export function logAccess(log: Log, passage: { record(): AccessRecord }): void {
  if (log.isLevelEnabled?.('info') === false) return
  log.info(passage.record(), 'request')
}
