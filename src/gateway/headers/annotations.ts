// What requests say of annotations: their names, and the ETag that their object must have.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/annotations-overview.html
import type { Encryption } from '../../objects/object-store.ts'
import type { Headers, Query } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import { parseEtags } from './etags.ts'

const NAME_BYTES_MAX = 512

/** `annotationName`: 1 to 512 bytes; names that begin with `aws` or `s3` are not for users. */
export function parseAnnotationName(query: Query): string {
  const name = query.annotationName ?? ''
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new S3Error('AnnotationNameTooLong')
  if (name === '' || /^(aws|s3)/i.test(name)) throw new S3Error('InvalidAnnotationName')
  return name
}

/** `annotation-prefix`; empty for all. */
export function parseAnnotationPrefix(query: Query): string {
  const prefix = query['annotation-prefix'] ?? ''
  if (Buffer.byteLength(prefix) > NAME_BYTES_MAX) throw new S3Error('InvalidPrefix')
  return prefix
}

/** x-amz-object-if-match: ETags, one of which the object must have. */
export function parseObjectIfMatch(headers: Headers): { ifMatch?: string[] } {
  const header = headers['x-amz-object-if-match']
  return header === undefined ? {} : { ifMatch: parseEtags(header) }
}

/** Whether a copy brings annotations along: x-amz-object-annotation-directive. */
export function copiesAnnotations(headers: Headers): boolean {
  const directive = headers['x-amz-object-annotation-directive'] || 'COPY'
  if (directive === 'COPY' || directive === 'EXCLUDE') return directive === 'COPY'
  throw invalidArgument(
    'x-amz-object-annotation-directive',
    directive,
    'Unknown annotation directive.',
  )
}

/** The keys of SSE-C are the client's: nothing beside the bytes can be encrypted with them. */
export function refuseCustomerKey(encryption: Pick<Encryption, 'kind'> | undefined): void {
  if (encryption?.kind !== 'SSE-C') return
  const message = 'Objects encrypted with SSE-C cannot have annotations.'
  throw new S3Error('InvalidRequest', {}, { message })
}
