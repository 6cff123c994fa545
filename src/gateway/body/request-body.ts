// The body that an operation reads: decoded, counted, checked against every claim of the client.
import { assert } from '../../kit/assert.ts'
import { kibibytes, mebibytes } from '../../kit/bytes.ts'
import { lendParts } from '../../kit/lent-bytes.ts'
import type { BodyDigests, Checksum, ChecksumAlgorithm } from '../../objects/object-store.ts'
import { ChunkChain } from '../auth/chunk-chain.ts'
import type { Payload } from '../auth/payload.ts'
import type { Headers, OpenBody, RawBody, RequestBody } from '../call.ts'
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
  return new UnreadBody(head, read)
}

class UnreadBody implements RequestBody {
  readonly #head: BodyHead
  readonly #read: () => AsyncIterable<Uint8Array>
  #shape: BodyShape | undefined
  #isOpened = false

  constructor(head: BodyHead, read: () => AsyncIterable<Uint8Array>) {
    this.#head = head
    this.#read = read
  }

  get bytes(): number {
    return knownLength(this.#findShape())
  }

  open(checksum: ChecksumAlgorithm, options?: { always: true }): OpenBody {
    return this.#open(checksum, this.#findShape(), options)
  }

  async text(maxBytes: number): Promise<string> {
    const shape = this.#findShape()
    const bytes = shape.bytes ?? 0
    refuseTooLong(bytes, maxBytes)
    // `PUT /bucket` without a length has no body: curl and s3-tests send it so.
    return await readBounded(this.#open('CRC32', { bytes, framing: shape.framing }))
  }

  raw(): RawBody {
    assert(!this.#isOpened, 'the body of a request is read once')
    refuseClaims(this.#head)
    this.#isOpened = true
    return { bytes: lengthOf(this.#head.headers), chunks: this.#read() }
  }

  #open(checksum: ChecksumAlgorithm, shape: BodyShape, options?: { always: true }): OpenBody {
    assert(!this.#isOpened, 'the body of a request is read once')
    const { operation, headers, payload, strict } = this.#head
    const claims = claimsOfBody(operation, headers, payload)
    this.#isOpened = true
    const checksums = new BodyChecksums(claims, checksum, {
      bytes: shape.bytes ?? 0,
      always: options?.always,
    })
    return new CheckedBody(shape, { claims, checksums, strict }, this.#read)
  }

  #findShape(): BodyShape {
    const { method, headers, payload } = this.#head
    this.#shape ??= shapeOfBody(method, headers, payload)
    return this.#shape
  }
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

interface Checks {
  claims: DigestClaims
  checksums: BodyChecksums
  strict: boolean
}

/** A body on its way. A class: a generator that is made for each body is a function that is new to V8 each time. */
class CheckedBody implements OpenBody {
  readonly bytes: number
  readonly chunks: AsyncGenerator<Uint8Array>
  readonly #checks: Checks
  readonly #decoder: AwsChunkedDecoder | undefined
  #isWhole = false

  constructor(shape: BodyShape, checks: Checks, read: () => AsyncIterable<Uint8Array>) {
    this.bytes = knownLength(shape)
    this.#checks = checks
    this.#decoder = shape.framing && decoderFor(this.bytes, shape.framing, checks.strict)
    this.chunks = this.#pass(read)
  }

  get claimed(): Checksum | undefined {
    return this.#checks.checksums.claimed
  }

  finish(): BodyDigests {
    if (!this.#isWhole) throw new S3Error('IncompleteBody')
    const { claims, checksums } = this.#checks
    return checksums.finish(findTrailer(claims, this.#decoder))
  }

  async *#pass(read: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let passed = 0
    const decoded = this.#decoder === undefined ? read() : decode(read(), this.#decoder)
    for await (const chunk of this.#checks.checksums.pass(decoded)) {
      passed += chunk.length
      yield chunk
    }
    if (passed !== this.bytes) throw new S3Error('IncompleteBody')
    this.#isWhole = true
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
  const unasked = names.some((name) => name !== announced?.header)
  const value = announced && decoder?.trailers.get(announced.header)
  if (unasked || (announced !== undefined && value === undefined)) {
    throw new S3Error('MalformedTrailerError')
  }
  if (announced !== undefined && value !== undefined) {
    checkChecksumValue(announced.header, announced.algorithm, value, 'trailing header')
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

async function readText(body: OpenBody): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const chunk of body.chunks) parts.push(chunk)
  body.finish()
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
  } catch (cause) {
    throw new S3Error('MalformedXML', {}, { cause })
  }
}
