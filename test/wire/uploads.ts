// Multipart uploads over the wire, for tests of what comes of them.
import { type Answer, ask, elementOf, type Wire } from './wire.ts'

/** The shortest part that is not the last. */
export const PART_BYTES_MIN = 5 * 1024 * 1024

export interface WireUpload {
  wire: Wire
  path: string
  uploadId: string
}

/** CreateMultipartUpload that must succeed. */
export async function beginUpload(
  wire: Wire,
  path: string,
  headers: Record<string, string> = {},
): Promise<WireUpload> {
  const answer = await ask(wire, { method: 'POST', path, query: { uploads: '' }, headers })
  const uploadId = elementOf(answer, 'UploadId')
  if (uploadId === undefined) throw new Error(`Create: ${answer.status} ${answer.text}`)
  return { wire, path, uploadId }
}

export function uploadPart(
  { wire, path, uploadId }: WireUpload,
  number: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const query = { partNumber: String(number), uploadId }
  return ask(wire, { method: 'PUT', path, query, body, headers })
}

/** `parts` are the ETags by number, each perhaps with elements behind it. */
export function completeUpload(
  { wire, path, uploadId }: WireUpload,
  parts: readonly { number: number; etag: string; more?: string }[],
  headers: Record<string, string> = {},
): Promise<Answer> {
  const listed = parts.map(
    ({ number, etag, more = '' }) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${more}</Part>`,
  )
  const body = `<CompleteMultipartUpload>${listed.join('')}</CompleteMultipartUpload>`
  return ask(wire, { method: 'POST', path, query: { uploadId }, body, headers })
}

/** A whole upload of `bodies` that must succeed; gives the answer of Complete. */
export async function uploadAll(
  wire: Wire,
  path: string,
  bodies: readonly (string | Uint8Array)[],
  headers: Record<string, string> = {},
): Promise<Answer> {
  const upload = await beginUpload(wire, path, headers)
  const algorithm = headers['x-amz-checksum-algorithm']
  const parts: { number: number; etag: string; more: string }[] = []
  for (const [index, body] of bodies.entries()) {
    const answer = await uploadPart(upload, index + 1, body)
    if (answer.status !== 200) throw new Error(`UploadPart: ${answer.text}`)
    const value = algorithm && answer.headers[`x-amz-checksum-${algorithm.toLowerCase()}`]
    const more = value ? `<Checksum${algorithm}>${value}</Checksum${algorithm}>` : ''
    parts.push({ number: index + 1, etag: answer.headers.etag!, more })
  }
  const done = await completeUpload(upload, parts)
  if (elementOf(done, 'ETag') === undefined) throw new Error(`Complete: ${done.text}`)
  return done
}

/** GetObjectAttributes. */
export function askAttributes(
  wire: Wire,
  path: string,
  names: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return ask(wire, {
    ...{ path, query: { attributes: '' } },
    headers: { 'x-amz-object-attributes': names, ...headers },
  })
}
