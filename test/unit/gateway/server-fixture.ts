// A gateway over operations that only tell what they were asked, and a hand to sign requests for it.
import { type ClientRequest, type IncomingMessage, request as sendHttp } from 'node:http'
import { connect } from 'node:net'
import type { Test } from 'tap'
import { prepareDigests } from '../../../src/digest/digest.ts'
import type { AdminApi } from '../../../src/gateway/admin-api.ts'
import { rootCredentials } from '../../../src/gateway/auth/credentials.ts'
import {
  canonicalPath,
  canonicalQuery,
  canonicalRequest,
  EMPTY_SHA256,
  sha256Hex,
  sign,
  signingKey,
  stringToSign,
} from '../../../src/gateway/auth/sigv4.ts'
import { formatBasicTime } from '../../../src/gateway/auth/times.ts'
import type { Call, Operation, Reply } from '../../../src/gateway/call.ts'
import { OPERATION_NAMES, type OperationName } from '../../../src/gateway/operation-names.ts'
import { createGateway, type Gateway, type GatewayOptions } from '../../../src/gateway/server.ts'
import { type Log, silentLog } from '../../../src/kit/log.ts'
import type { Registry } from '../../../src/kit/metrics.ts'
import { realWorld, type World } from '../../../src/kit/world.ts'
import type { ObjectStore } from '../../../src/objects/object-store.ts'

export const ACCESS_KEY = 'AKIDEXAMPLE'
export const SECRET = 'not/a+secret'

/** What the telling operation answers. */
export interface Told {
  operation: string
  bucket: string
  key: string
  query: Record<string, string>
  headers: Record<string, string>
  baseUrl: string
  body?: string
  digests?: unknown
}

/** Reads the body when there may be one, and tells everything as JSON. */
export async function tell(call: Call): Promise<Reply> {
  const told: Record<string, unknown> = {
    operation: call.operation,
    bucket: call.bucket,
    key: call.key,
    query: call.query,
    headers: call.headers,
    baseUrl: call.baseUrl,
  }
  if (call.operation === 'PutObject' || call.operation === 'UploadPart') {
    const body = call.body.open('CRC64NVME')
    const parts: Uint8Array[] = []
    for await (const chunk of body.chunks) parts.push(chunk)
    told.digests = body.finish()
    told.body = Buffer.concat(parts).toString('latin1').slice(0, 1000)
  }
  if (call.operation === 'DeleteObjects') told.body = await call.body.text(1000)
  return {
    status: 200,
    headers: { 'x-told': 'yes' },
    body: { kind: 'text', text: JSON.stringify(told) },
  }
}

/** The same tests over Node's server: HTTP=node. */
export function otherHttp(): 'node' | undefined {
  return process.env.HTTP === 'node' ? 'node' : undefined
}

export interface Fixture {
  gateway: Gateway
  port: number
  host: string
}

/** Starts a gateway that is closed with the test. */
export async function startGateway(
  t: Test,
  options: Partial<GatewayOptions> = {},
  parts: {
    operation?: Operation
    log?: Log
    registry?: Registry
    admin?: AdminApi
    world?: Pick<World, 'clock' | 'random'>
  } = {},
): Promise<Fixture> {
  await prepareDigests()
  const operation = parts.operation ?? tell
  const operations = Object.fromEntries(OPERATION_NAMES.map((name) => [name, operation]))
  const gateway = createGateway(
    {
      domains: ['localhost'],
      region: { name: 'us-east-1', enforced: false },
      credentials: rootCredentials(ACCESS_KEY, SECRET),
      strict: false,
      http: otherHttp(),
      ...options,
    },
    {
      world: parts.world ?? realWorld(),
      log: parts.log ?? silentLog,
      objects: {} as ObjectStore,
      operations: operations as Record<OperationName, Operation>,
      registry: parts.registry,
      admin: parts.admin,
    },
  )
  const { port } = await gateway.listen({ address: '127.0.0.1', port: 0 })
  t.teardown(() => gateway.close({ deadlineMs: 100 }))
  return { gateway, port, host: `127.0.0.1:${port}` }
}

export interface Wanted {
  method?: string
  /** Path and query as they go on the wire. */
  url?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
  /** Unsigned when false. */
  signed?: boolean
}

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  text: string
}

/** Headers that sign `wanted` for the fixture's root. */
export function signHeaders(
  host: string,
  wanted: Wanted,
  nowMs = Date.now(),
): Record<string, string> {
  const { method = 'GET', url = '/', body = '' } = wanted
  const time = formatBasicTime(nowMs)
  const scope = { date: time.slice(0, 8), region: 'us-east-1', service: 's3' }
  const bodyHash = body.length === 0 ? EMPTY_SHA256 : sha256Hex(Buffer.from(body))
  const headers: Record<string, string> = {
    host,
    'x-amz-date': time,
    'x-amz-content-sha256': bodyHash,
    ...wanted.headers,
  }
  const names = Object.keys(headers).sort()
  const [path = '', search = ''] = url.split('?')
  const pairs = [...new URLSearchParams(search)]
  const canonical = canonicalRequest({
    method,
    path: canonicalPath(decodeURIComponent(path)),
    query: canonicalQuery(pairs),
    headers: names.map((name) => [name, headers[name]!] as const),
    payloadHash: headers['x-amz-content-sha256']!,
  })
  const signature = sign(signingKey(SECRET, scope), stringToSign(time, scope, canonical))
  const credential = `${ACCESS_KEY}/${scope.date}/us-east-1/s3/aws4_request`
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

/** Sends a request, signed by header unless told otherwise, and reads the whole answer. */
export async function ask({ host, port }: Fixture, wanted: Wanted = {}): Promise<Answer> {
  const headers = wanted.signed === false ? { host, ...wanted.headers } : signHeaders(host, wanted)
  const { method = 'GET', url = '/', body } = wanted
  const outgoing = sendHttp({ host: '127.0.0.1', port, method, path: url, headers, agent: false })
  if (
    body !== undefined &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  ) {
    outgoing.setHeader('content-length', Buffer.byteLength(body))
  }
  const answered = answerOf(outgoing)
  outgoing.end(body)
  return answered
}

/** The answer to a request that the caller writes. */
export async function answerOf(outgoing: ClientRequest): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject)
  })
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  const text = Buffer.concat(parts).toString('utf8')
  return { status: response.statusCode ?? 0, headers: response.headers, text }
}

/** The S3 error code in an answer. */
export function codeOf({ text }: Answer): string {
  return /<Code>(.*?)<\/Code>/.exec(text)?.[1] ?? ''
}

/** What the telling operation told. */
export function toldBy({ text }: Answer): Told {
  return JSON.parse(text) as Told
}

/** Sends raw bytes, says `patienceMs` later that no more will come, and collects what comes back until the server closes. */
export async function talkRaw(
  port: number,
  bytes: string | Uint8Array,
  { patienceMs = 0 } = {},
): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  socket.on('error', () => {}) // A reset after the answer is the server's way to close.
  socket.once('end', () => socket.end())
  socket.write(bytes)
  const timer = patienceMs > 0 ? setTimeout(() => socket.end(), patienceMs) : undefined
  await new Promise((resolve) => socket.once('close', resolve))
  clearTimeout(timer)
  return Buffer.concat(parts).toString('latin1')
}
