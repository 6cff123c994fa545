// Calls as the pipeline would make them, and replies read back: the other half of every test of an operation.
import { digestOf, newDigest, prepareDigests } from '../../../../src/digest/digest.ts'
import type { Call, Headers, Query, Reply, RequestBody } from '../../../../src/gateway/call.ts'
import { sentAlgorithm } from '../../../../src/gateway/headers/checksum-headers.ts'
import type { OperationName } from '../../../../src/gateway/operation-names.ts'
import { operations } from '../../../../src/gateway/operations.ts'
import { S3Error } from '../../../../src/gateway/s3-error.ts'
import type { Checksum, ChecksumAlgorithm } from '../../../../src/objects/object-store.ts'
import { type MemoryStore, memoryStore, STORE_TIME_MS } from './memory-store.ts'

/** What a test says of its request. */
export interface Asked {
  bucket?: string
  key?: string
  headers?: Headers
  query?: Query
  body?: string | Buffer
  anonymous?: boolean
  strict?: boolean
  secure?: boolean
}

/** A reply with its body read. */
export interface Answered {
  status: number
  headers: Record<string, string>
  text: string
}

/** A store with the empty bucket `photos`, and a way to ask it. */
export interface Gateway {
  store: MemoryStore
  /** How many bodies were read. */
  bodiesRead: number
  ask(operation: OperationName, asked?: Asked): Promise<Answered>
  /** The refusal, as `Code {elements}`. Fails the test when there is none. */
  refused(operation: OperationName, asked?: Asked): Promise<S3Error>
}

export async function openGateway(region = 'us-east-1'): Promise<Gateway> {
  await prepareDigests()
  const store = memoryStore(region)
  await store.createBucket('photos', region)
  const gateway: Gateway = {
    store,
    bodiesRead: 0,
    ask: async (operation, asked = {}) => {
      const call = fakeCall(operation, asked, region, gateway)
      return await readReply(await operations[operation](call))
    },
    refused: async (operation, asked) => {
      try {
        const { status, text } = await gateway.ask(operation, asked)
        throw new Error(`${operation} was not refused: ${status} ${text}`)
      } catch (error) {
        if (error instanceof S3Error) return error
        throw error
      }
    },
  }
  return gateway
}

function fakeCall(operation: OperationName, asked: Asked, region: string, gateway: Gateway): Call {
  const headers = asked.headers ?? {}
  return {
    operation,
    bucket: asked.bucket ?? (operation === 'ListBuckets' ? '' : 'photos'),
    key: asked.key ?? '',
    headers,
    query: asked.query ?? {},
    body: fakeBody(Buffer.from(asked.body ?? ''), headers, gateway),
    identity: asked.anonymous ? { kind: 'anonymous' } : { kind: 'root', accessKeyId: 'AKTEST' },
    authenticateForm: () => ({ kind: 'root', accessKeyId: 'AKTEST' }),
    objects: gateway.store,
    region,
    baseUrl: 'http://localhost:9000/',
    strict: asked.strict ?? false,
    secure: asked.secure ?? false,
    requestId: 'R1',
    receivedMs: STORE_TIME_MS + 60_000,
    signal: new AbortController().signal,
  }
}

function fakeBody(bytes: Buffer, headers: Headers, gateway: Gateway): RequestBody {
  return {
    bytes: Number(headers['content-length'] ?? bytes.length),
    open(preferred, options) {
      const sent = sentAlgorithm(headers)
      const algorithm = options?.always ? preferred : (sent ?? preferred)
      const digests = { md5: newDigest('MD5'), checksum: newDigest(algorithm) }
      return {
        bytes: bytes.length,
        ...(sent ? { claimed: checksumOf(sent, bytes) } : {}),
        chunks: (async function* () {
          gateway.bodiesRead += 1
          digests.md5.update(bytes)
          digests.checksum.update(bytes)
          yield bytes
        })(),
        finish: () => ({
          md5: Buffer.from(digests.md5.digest()).toString('hex'),
          checksum: {
            algorithm,
            type: 'FULL_OBJECT',
            value: Buffer.from(digests.checksum.digest()).toString('base64'),
          },
        }),
      }
    },
    raw: () => ({
      bytes: bytes.length,
      chunks: (async function* () {
        gateway.bodiesRead += 1
        yield bytes
      })(),
    }),
    async text(maxBytes) {
      gateway.bodiesRead += 1
      if (bytes.length > maxBytes) throw new S3Error('MaxMessageLengthExceeded')
      return bytes.toString()
    },
  }
}

function checksumOf(algorithm: ChecksumAlgorithm, bytes: Buffer): Checksum {
  const value = Buffer.from(digestOf(algorithm, bytes)).toString('base64')
  return { algorithm, type: 'FULL_OBJECT', value }
}

async function readReply({ status, headers = {}, body }: Reply): Promise<Answered> {
  if (body === undefined) return { status, headers, text: '' }
  if (body.kind === 'text') return { status, headers, text: body.text }
  if (body.kind === 'bytes')
    return { status, headers, text: Buffer.from(body.bytes).toString('latin1') }
  if (body.kind === 'trickle') throw new Error('operations do not trickle: the pipeline does')
  const chunks: Uint8Array[] = []
  for await (const chunk of body.chunks) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  if (bytes.length !== body.bytes) throw new Error(`${bytes.length} bytes came, not ${body.bytes}`)
  return { status, headers, text: bytes.toString('latin1') }
}

/** Texts of every `<name>` of a document, as they stand. */
export function texts(document: string, name: string): string[] {
  const pattern = new RegExp(`<${name}>([^<]*)</${name}>`, 'g')
  return [...document.matchAll(pattern)].map(([, text]) => text ?? '')
}
