// Requests that Node's parser refuses never become requests: they are answered on the bare socket.
import type { Socket } from 'node:net'
import { httpDate } from './headers/dates.ts'
import { S3Error } from './s3-error.ts'
import { errorDocument } from './xml/error-document.ts'

/** What the parser or the socket says. */
export interface ParserError extends Error {
  code?: string
}

/** Answers with an S3 error and closes; a socket that already carries a reply is only closed. */
export function answerParserError(
  trouble: ParserError,
  socket: Socket,
  context: { requestId: string; hostId: string; headerBytesMax: number; nowMs: number },
): void {
  // Node keeps the reply that is being written there; two heads on one socket would be garbage.
  const replying = (socket as Socket & { _httpMessage?: { headersSent: boolean } })._httpMessage
  if (!socket.writable || trouble.code === 'ECONNRESET' || replying?.headersSent === true) {
    socket.destroy()
    return
  }
  const inBody = replying !== undefined
  const error = asS3Error(trouble, { inBody, headerBytesMax: context.headerBytesMax })
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
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

function asS3Error(
  trouble: ParserError,
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
