// A small S3 client for tests that need many requests: path style, SigV4 header, unsigned payload.
// Real clients are tested elsewhere; this one must be cheap and show everything that came back.
import { createHash, createHmac } from 'node:crypto'
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { TEST_KEYS } from './server.ts'

/** Pause before a request is sent again. */
const RETRY_MS = 100

export interface S3Response {
  status: number
  headers: Record<string, string>
  body: Buffer
}

export interface S3Request {
  method: string
  /** `/bucket/key`, already percent-encoded as it goes over the wire. */
  path: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Uint8Array | AsyncIterable<Uint8Array>
  /** Gives the response as it comes instead of collecting it. */
  stream?: (response: http.IncomingMessage) => Promise<void>
}

/** Encodes a key for a path, keeping slashes. */
export function encodeKey(key: string): string {
  return key.split('/').map(strictEncode).join('/')
}

function strictEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** Talks to one endpoint over kept-alive connections. */
export class S3Client {
  readonly #endpoint: URL
  readonly #agent: http.Agent
  readonly #keys: { accessKeyId: string; secretAccessKey: string }
  /** How long a request is sent again while connections are refused or break: for a server that is started again. */
  patienceMs = 0

  constructor(endpoint: string, keys = TEST_KEYS, maxSockets = 256) {
    this.#endpoint = new URL(endpoint)
    this.#keys = keys
    this.#agent = new http.Agent({ keepAlive: true, maxSockets })
  }

  close(): void {
    this.#agent.destroy()
  }

  put(
    bucket: string,
    key: string,
    body: Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<S3Response> {
    return this.send({ method: 'PUT', path: `/${bucket}/${encodeKey(key)}`, body, headers })
  }

  get(bucket: string, key: string, headers: Record<string, string> = {}): Promise<S3Response> {
    return this.send({ method: 'GET', path: `/${bucket}/${encodeKey(key)}`, headers })
  }

  delete(bucket: string, key: string): Promise<S3Response> {
    return this.send({ method: 'DELETE', path: `/${bucket}/${encodeKey(key)}` })
  }

  /** All keys of a bucket, page by page. */
  async listAll(bucket: string, prefix = ''): Promise<string[]> {
    const keys: string[] = []
    let token: string | undefined
    do {
      const query = { 'list-type': '2', prefix, ...(token ? { 'continuation-token': token } : {}) }
      const { status, body } = await this.send({ method: 'GET', path: `/${bucket}`, query })
      const text = body.toString('utf8')
      if (status !== 200) throw new Error(`listing failed with ${status}: ${text}`)
      for (const [, key] of text.matchAll(/<Key>([^<]*)<\/Key>/g)) keys.push(unescapeXml(key!))
      token = /<NextContinuationToken>([^<]+)</.exec(text)?.[1]
    } while (token)
    return keys
  }

  /** Signs and sends; rejects only when the connection breaks, and that for longer than patience lasts. */
  async send(request: S3Request): Promise<S3Response> {
    const untilMs = performance.now() + this.patienceMs
    for (;;) {
      try {
        return await this.#sendOnce(request)
      } catch (error) {
        if (performance.now() >= untilMs) throw error
      }
      await sleep(RETRY_MS)
    }
  }

  #sendOnce(request: S3Request): Promise<S3Response> {
    const query = canonicalQuery(request.query ?? {})
    const headers = this.#sign(request, query)
    const options: http.RequestOptions = {
      agent: this.#agent,
      host: this.#endpoint.hostname,
      port: this.#endpoint.port,
      method: request.method,
      path: query === '' ? request.path : `${request.path}?${query}`,
      headers,
    }
    return new Promise((resolve, reject) => {
      const sent = http.request(options, (response) => {
        receive(response, request.stream).then(resolve, reject)
      })
      sent.on('error', reject)
      writeBody(sent, request.body).catch(reject)
    })
  }

  #sign(request: S3Request, query: string): Record<string, string> {
    const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
    const headers: Record<string, string> = {
      host: this.#endpoint.host,
      'x-amz-date': date,
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      ...request.headers,
    }
    const { body } = request
    if (body instanceof Uint8Array) headers['content-length'] = String(body.length)
    const signed = Object.keys(headers)
      .filter((name) => name === 'host' || name.startsWith('x-amz-'))
      .sort()
    const canonical = [
      request.method,
      request.path,
      query,
      ...signed.map((name) => `${name}:${headers[name]!.trim()}`),
      '',
      signed.join(';'),
      headers['x-amz-content-sha256'],
    ].join('\n')
    const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`
    const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')
    const key = scope
      .split('/')
      .reduce<Uint8Array | string>(
        (secret, part) => hmac(secret, part),
        `AWS4${this.#keys.secretAccessKey}`,
      )
    headers.authorization =
      `AWS4-HMAC-SHA256 Credential=${this.#keys.accessKeyId}/${scope}, ` +
      `SignedHeaders=${signed.join(';')}, Signature=${hmac(key, toSign).toString('hex')}`
    return headers
  }
}

function canonicalQuery(query: Record<string, string>): string {
  return Object.entries(query)
    .map(([name, value]) => `${strictEncode(name)}=${strictEncode(value)}`)
    .sort()
    .join('&')
}

async function writeBody(sent: http.ClientRequest, body: S3Request['body']): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    sent.end(body)
    return
  }
  for await (const chunk of body) {
    if (!sent.write(chunk)) await new Promise((resolve) => sent.once('drain', resolve))
  }
  sent.end()
}

async function receive(
  response: http.IncomingMessage,
  stream: S3Request['stream'],
): Promise<S3Response> {
  const parts: Buffer[] = []
  if (stream) await stream(response)
  else for await (const part of response) parts.push(part as Buffer)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) headers[name] = String(value)
  return { status: response.statusCode!, headers, body: Buffer.concat(parts) }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function hmac(key: Uint8Array | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function unescapeXml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&')
}
