// Heads of requests, signed by headers as SDKs do it (AWS Signature Version 4).
import {
  authorizationHeader,
  canonicalPath,
  canonicalQuery,
  EMPTY_SHA256,
  signingKey,
} from '../gateway/auth/sigv4.ts'
import { formatBasicTime } from '../gateway/auth/times.ts'
import type { Clock } from '../kit/world.ts'
import type { Endpoint } from './endpoint.ts'

/** A request before it is signed. */
export interface Step {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  bucket: string
  /** Not encoded; empty for requests of the bucket. */
  key: string
  query?: readonly (readonly [name: string, value: string])[]
  /** More headers, lower case. */
  headers?: readonly (readonly [name: string, value: string])[]
  body?: Payload
}

/** A body, and what was computed of it once. */
export interface Payload {
  bytes: Uint8Array
  sha256: string
}

/** A signature is used again for so long: servers take it for 15 minutes, and to sign is dear beside a HEAD. */
const SAME_SIGNATURE_MS = 60_000

/** Heads that are kept: one for each object of the largest load, twice. */
const HEADS_MAX = 50_000

/** Signs for one endpoint. */
export class Signer {
  readonly #endpoint: Endpoint
  readonly #clock: Pick<Clock, 'now'>
  readonly #heads = new Map<string, Buffer>()
  #untilMs = 0
  #time = ''
  #key: Buffer = Buffer.alloc(0)

  constructor(endpoint: Endpoint, clock: Pick<Clock, 'now'>) {
    this.#endpoint = endpoint
    this.#clock = clock
  }

  /** The head of a request, with the empty line that ends it. */
  head(step: Step): Buffer {
    this.#renew()
    if (step.body !== undefined) return this.#build(step)
    const name = `${step.method} ${step.bucket}/${step.key}?${step.query ?? ''} ${step.headers ?? ''}`
    const known = this.#heads.get(name)
    if (known !== undefined) return known
    const built = this.#build(step)
    if (this.#heads.size < HEADS_MAX) this.#heads.set(name, built)
    return built
  }

  #renew(): void {
    const nowMs = this.#clock.now()
    if (nowMs < this.#untilMs) return
    this.#untilMs = nowMs + SAME_SIGNATURE_MS
    this.#time = formatBasicTime(nowMs)
    this.#key = signingKey(this.#endpoint.secretAccessKey, this.#scope())
    this.#heads.clear()
  }

  #scope(): { date: string; region: string; service: string } {
    return { date: this.#time.slice(0, 8), region: this.#endpoint.region, service: 's3' }
  }

  #build({ method, bucket, key, query = [], headers = [], body }: Step): Buffer {
    const path = canonicalPath(key === '' ? `/${bucket}` : `/${bucket}/${key}`)
    const canonical = canonicalQuery(query)
    const payloadHash = body?.sha256 ?? EMPTY_SHA256
    const signed = [
      ['host', this.#endpoint.url.host],
      ['x-amz-content-sha256', payloadHash],
      ['x-amz-date', this.#time],
    ] as const
    const parts = { method, path, query: canonical, headers: signed, payloadHash }
    const authorization = authorizationHeader(parts, {
      ...{ accessKeyId: this.#endpoint.accessKeyId, key: this.#key },
      ...{ scope: this.#scope(), time: this.#time },
    })
    const lines = [
      `${method} ${path}${canonical === '' ? '' : `?${canonical}`} HTTP/1.1`,
      ...[...signed, ...headers].map(([name, value]) => `${name}: ${value}`),
      `authorization: ${authorization}`,
    ]
    if (body !== undefined) lines.push(`content-length: ${body.bytes.length}`)
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  }
}
