// Everything that the head of a request claims of its body: length, framing, digests. Pure.
import type { ChunkSeed } from '../auth/chunk-chain.ts'
import type { Payload } from '../auth/payload.ts'
import type { Headers } from '../call.ts'
import { decodeBase64 } from '../headers/checksum-value.ts'
import { SMALL_BODY_BYTES } from '../linger.ts'
import type { OperationName } from '../operation-names.ts'
import { S3Error } from '../s3-error.ts'
import { parseChecksumClaim } from './checksum-claim.ts'
import type { DigestClaims } from './checksums.ts'

/** How long a body is and how it is cut. */
export interface BodyShape {
  /** After decoding; undefined when a body may come but its length is not known. */
  bytes: number | undefined
  /** Undefined when the bytes are sent as they are. */
  framing: { trailers: boolean; seed: ChunkSeed | undefined } | undefined
}

/** Throws for what the head of no request may say of its body, whatever its operation. */
export function refuseBodyHead(method: string, headers: Headers): void {
  refuseSmuggling(headers)
  refuseUnexpected(method, headers)
}

/** Throws BadRequest for lengths that contradict each other: two servers would cut the stream differently. */
function refuseSmuggling(headers: Headers): void {
  if (headers['transfer-encoding'] === undefined || headers['content-length'] === undefined) return
  const message = 'Content-Length and Transfer-Encoding must not be sent together.'
  throw new S3Error('BadRequest', {}, { message })
}

/**
 * Throws UnexpectedContent for a body with a method of which no operation has one (pitfall 41). A small one of a GET is
 * passed over, as on AWS.
 */
function refuseUnexpected(method: string, headers: Headers): void {
  if (method === 'PUT' || method === 'POST') return
  const bytes = Number(headers['content-length'] ?? 0)
  const fits = bytes === 0 || (method === 'GET' && bytes <= SMALL_BODY_BYTES)
  if (!fits || headers['transfer-encoding'] !== undefined) throw new S3Error('UnexpectedContent')
}

/** The shape of the body. Throws MissingContentLength, NotImplemented or InvalidArgument. */
export function shapeOfBody(method: string, headers: Headers, payload: Payload): BodyShape {
  const transfer = headers['transfer-encoding']?.trim().toLowerCase()
  const framing = findFraming(headers, payload)
  if (transfer !== undefined && (framing === undefined || transfer !== 'chunked')) {
    throw new S3Error('NotImplemented', { Header: 'Transfer-Encoding' })
  }
  if (framing !== undefined) return { bytes: decodedLength(headers), framing }
  const length = lengthOf(headers)
  if (length !== undefined) return { bytes: length, framing }
  return { bytes: method === 'PUT' || method === 'POST' ? undefined : 0, framing }
}

/** Content-Length; undefined when there is none. */
export function lengthOf(headers: Headers): number | undefined {
  const length = headers['content-length']
  if (length === undefined) return undefined
  const bytes = parseLength(length)
  if (bytes !== undefined) return bytes
  throw new S3Error('InvalidArgument', {
    ArgumentName: 'content-length',
    ArgumentValue: length,
  })
}

/** Framed is what says STREAMING-…, with or without Content-Encoding, and what says aws-chunked with a length. */
function findFraming(headers: Headers, payload: Payload): BodyShape['framing'] {
  if (payload.kind === 'chunked') return payload
  const announced = headers['x-amz-decoded-content-length'] !== undefined
  if (!announced || !isAwsChunked(headers)) return undefined
  return { trailers: true, seed: undefined }
}

function isAwsChunked(headers: Headers): boolean {
  return listOf(headers['content-encoding']).some((name) => name.toLowerCase() === 'aws-chunked')
}

/** Content-Encoding without aws-chunked, which is never stored; undefined when nothing is left (pitfall 27). */
export function storedEncoding(contentEncoding: string | undefined): string | undefined {
  const names = listOf(contentEncoding)
  const kept = names.filter((name) => name.toLowerCase() !== 'aws-chunked')
  if (kept.length === names.length) return contentEncoding
  return kept.length === 0 ? undefined : kept.join(', ')
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

function decodedLength(headers: Headers): number {
  const length = headers['x-amz-decoded-content-length']
  const bytes = length === undefined ? undefined : parseLength(length)
  // One that is no number is none.
  if (bytes === undefined) throw new S3Error('MissingContentLength')
  return bytes
}

/** undefined for what is no number of bytes. */
function parseLength(text: string): number | undefined {
  const length = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(length) ? length : undefined
}

/** What the client claims of the bytes. Throws InvalidDigest or InvalidRequest. */
export function claimsOfBody(
  operation: OperationName,
  headers: Headers,
  payload: Payload,
): DigestClaims {
  const md5 = parseMd5(headers['content-md5'])
  const sha256 = payload.kind === 'hashed' ? payload.sha256 : undefined
  // There the checksum headers are about the object that the parts make, not about the XML.
  const ofObject = operation === 'CompleteMultipartUpload'
  const checksum = ofObject ? undefined : parseChecksumClaim(headers)
  return { md5, sha256, checksum }
}

function parseMd5(text: string | undefined): Buffer | undefined {
  if (text === undefined) return undefined
  const bytes = decodeBase64(text)
  if (bytes?.length === 16) return bytes
  throw new S3Error('InvalidDigest', { 'Content-MD5': text })
}
