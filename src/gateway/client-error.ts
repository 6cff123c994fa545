// What is no request never gets into the pipeline: it is answered as it is, and its connection closed.
import type { BadRequest } from './exchange.ts'
import { httpDate } from './headers/dates.ts'
import { S3Error } from './s3-error.ts'
import { errorDocument } from './xml/error-document.ts'

/** The whole answer, an S3 error. */
export function composeRefusal(
  trouble: BadRequest,
  context: {
    requestId: string
    hostId: string
    headerBytesMax: number
    nowMs: number
    /** It was a request up to its body. */
    inBody: boolean
  },
): string {
  const error = asS3Error(trouble, context)
  const body = errorDocument(error, { ...context, resource: '' })
  const head = [
    `HTTP/1.1 ${error.status} Bad Request`,
    'content-type: application/xml',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-amz-request-id: ${context.requestId}`,
    `x-amz-id-2: ${context.hostId}`,
    'server: Kintsugi',
    `date: ${httpDate(context.nowMs)}`,
    'connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

function asS3Error(
  trouble: BadRequest,
  { inBody, headerBytesMax }: { inBody: boolean; headerBytesMax: number },
): S3Error {
  switch (trouble.code) {
    case 'HPE_INVALID_EOF_STATE':
      // Cut short in its body the request is known, and so is what is wrong with it.
      return new S3Error(inBody ? 'IncompleteBody' : 'BadRequest', {}, { cause: trouble })
    case 'HPE_HEADER_OVERFLOW':
      return new S3Error('RequestHeaderSectionTooLarge', { MaxSizeAllowed: String(headerBytesMax) })
    case 'HPE_INVALID_URL':
      return new S3Error('InvalidURI', {}, { cause: trouble })
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new S3Error('RequestTimeout')
    default:
      return new S3Error('BadRequest', {}, { cause: trouble })
  }
}
