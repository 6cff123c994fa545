// The body that an operation reads: decoded, counted, checked against every claim of the client.
import { assert } from '../../kit/assert.ts'
import { kibibytes, mebibytes } from '../../kit/bytes.ts'
import { lendParts } from '../../kit/lent-bytes.ts'
import type { ChecksumAlgorithm } from '../../objects/object-store.ts'
import { ChunkChain } from '../auth/chunk-chain.ts'
import type { Payload } from '../auth/payload.ts'
import type { Headers, RequestBody } from '../call.ts'
import { checkChecksumValue } from '../headers/checksum-value.ts'
import type { OperationName } from '../operation-names.ts'
import { processBound } from '../process-bounds.ts'
import { S3Error } from '../s3-error.ts'
import { AwsChunkedDecoder } from './aws-chunked.ts'
import {
  type BodyShape,
  claimsOfBody,
  lengthOf,
  refuseBodyHead,
  shapeOfBody,
} from './body-claims.ts'
import { BodyChecksums, type DigestClaims } from './checksums.ts'

/** The head of a request, as far as its body is concerned. */
export interface BodyHead {
  method: string
  headers: Headers
  operation: OperationName
  payload: Payload
  /** Chunks that AWS finds too small are refused. */
  strict: boolean
}

type OpenBody = ReturnType<RequestBody['open']>

const TEXT_PERMIT_BYTES = kibibytes(64)

/** For the long documents of all requests together: 64 MiB. */
const textMemory = processBound({
  permits: mebibytes(64) / TEXT_PERMIT_BYTES,
  permitsMin: mebibytes(16) / TEXT_PERMIT_BYTES,
  maxWaiting: 0,
})

/**
 * The body of one request. `read` starts the bytes off the socket and is called at most once.
 * Throws at once when the lengths contradict each other; other claims are looked at when the body is asked for.
 */
export function requestBody(head: BodyHead, read: () => AsyncIterable<Uint8Array>): RequestBody {
  refuseBodyHead(head.method, head.headers)
  let opened = false
  const open = (checksum: ChecksumAlgorithm, shape = findShape(head)): OpenBody => {
    assert(!opened, 'the body of a request is read once')
    const claims = claimsOfBody(head.operation, head.headers, head.payload)
    opened = true
    const checksums = new BodyChecksums(claims, checksum, shape.bytes)
    return openBody(shape, { claims, checksums, strict: head.strict }, read)
  }
  return {
    get bytes() {
      return knownLength(findShape(head))
    },
    open,
    text: async (maxBytes) => {
      const shape = findShape(head)
      refuseTooLong(shape.bytes ?? 0, maxBytes)
      // `PUT /bucket` without a length has no body: curl and s3-tests send it so.
      return readBounded(open('CRC32', { ...shape, bytes: shape.bytes ?? 0 }))
    },
    raw: () => {
      assert(!opened, 'the body of a request is read once')
      refuseClaims(head)
      opened = true
      return { bytes: lengthOf(head.headers), chunks: read() }
    },
  }
}

function findShape({ method, headers, payload }: BodyHead): BodyShape {
  return shapeOfBody(method, headers, payload)
}

/** Nothing compares the bytes of a raw body with what its head says of them. */
function refuseClaims({ operation, headers, payload }: BodyHead): void {
  const { md5, checksum } = claimsOfBody(operation, headers, payload)
  const header =
    payload.kind === 'unsigned'
      ? (md5 && 'content-md5') || checksum?.header
      : 'x-amz-content-sha256'
  if (header !== undefined) throw new S3Error('NotImplemented', { Header: header })
}

function knownLength({ bytes }: BodyShape): number {
  if (bytes === undefined) throw new S3Error('MissingContentLength')
  return bytes
}

function openBody(
  shape: BodyShape,
  {
    claims,
    checksums,
    strict,
  }: { claims: DigestClaims; checksums: BodyChecksums; strict: boolean },
  read: () => AsyncIterable<Uint8Array>,
): OpenBody {
  const bytes = knownLength(shape)
  const decoder = shape.framing && decoderFor(bytes, shape.framing, strict)
  let whole = false
  async function* pass(): AsyncGenerator<Uint8Array> {
    let passed = 0
    const decoded = decoder === undefined ? read() : decode(read(), decoder)
    for await (const chunk of checksums.pass(decoded)) {
      passed += chunk.length
      yield chunk
    }
    if (passed !== bytes) throw new S3Error('IncompleteBody')
    whole = true
  }
  return {
    bytes,
    chunks: pass(),
    finish: () => {
      if (!whole) throw new S3Error('IncompleteBody')
      return checksums.finish(findTrailer(claims, decoder))
    },
  }
}

function decoderFor(
  bytes: number,
  { trailers, seed }: NonNullable<BodyShape['framing']>,
  strict: boolean,
): AwsChunkedDecoder {
  const verifier = seed && new ChunkChain(seed)
  return new AwsChunkedDecoder({ bytes, trailers, verifier, strict })
}

async function* decode(
  chunks: AsyncIterable<Uint8Array>,
  decoder: AwsChunkedDecoder,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    const parts = decoder.push(chunk)
    lendParts(chunk, parts)
    yield* parts
  }
  decoder.end()
}

/** The checksum that came as a trailer. Throws MalformedTrailerError when an announced one is missing, or another came. */
function findTrailer(
  { checksum }: DigestClaims,
  decoder: AwsChunkedDecoder | undefined,
): string | undefined {
  const announced = checksum !== undefined && checksum.value === undefined ? checksum : undefined
  const names = [...(decoder?.trailers.keys() ?? [])]
  const unasked = names.some((name) => name.startsWith('x-amz-') && name !== announced?.header)
  const value = announced && decoder?.trailers.get(announced.header)
  if (unasked || (announced !== undefined && value === undefined)) {
    throw new S3Error('MalformedTrailerError')
  }
  if (announced !== undefined && value !== undefined) {
    checkChecksumValue(announced.header, announced.algorithm, value)
  }
  return value
}

function refuseTooLong(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return
  throw new S3Error('MaxMessageLengthExceeded', { MaxMessageLengthBytes: String(maxBytes) })
}

/** Takes memory for a long text before it is read. Throws Overloaded where there is none: nobody waits for slow senders. */
async function readBounded(body: OpenBody): Promise<string> {
  const permits = Math.floor(body.bytes / TEXT_PERMIT_BYTES)
  if (permits === 0) return await readText(body)
  await textMemory.acquire(permits)
  try {
    return await readText(body)
  } finally {
    textMemory.release(permits)
  }
}

async function readText({ chunks, finish }: OpenBody): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  finish()
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
  } catch (cause) {
    throw new S3Error('MalformedXML', {}, { cause })
  }
}
