// One PUT, part or copy moves at most 5 GiB (pitfall 43).
import { S3Error } from '../../s3-error.ts'

/** The largest body of one request. */
export const PUT_BYTES_MAX = 5 * 1024 * 1024 * 1024

/** Throws EntityTooLarge when the body of a request is larger than S3 allows. */
export function refuseTooLarge(bytes: number): void {
  if (bytes <= PUT_BYTES_MAX) return
  throw new S3Error('EntityTooLarge', {
    ProposedSize: String(bytes),
    MaxSizeAllowed: String(PUT_BYTES_MAX),
  })
}
