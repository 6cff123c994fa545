// x-amz-mfa: a second factor that the client means a delete to be protected by. There is none here.
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'

/** Refused rather than ignored: nobody shall believe that deletes need one. */
export function refuseMfa(headers: Headers): void {
  if (headers['x-amz-mfa']) throw new S3Error('NotImplemented', { Header: 'x-amz-mfa' })
}
