// The life of every request: recognise, authenticate, permit, run, reply. Errors become S3 errors here and only here.
import type { TLSSocket } from 'node:tls'
import { asBuffer } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import { Semaphore } from '../kit/semaphore.ts'
import type { World } from '../kit/world.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { type AccessRecord, CLIENT_GONE, logAccess } from './access-log.ts'
import { adminErrorReply, authenticateAdmin, findAdminAddress, runAdmin } from './admin.ts'
import type { AdminApi } from './admin-api.ts'
import type { Authenticated, AuthParts } from './auth/auth-request.ts'
import { authenticate } from './auth/authenticate.ts'
import type { Credentials } from './auth/credentials.ts'
import { authenticateForm } from './auth/form-signature.ts'
import { permit } from './auth/permit.ts'
import { SigningKeys } from './auth/signing-keys.ts'
import { readIncoming } from './body/incoming.ts'
import { requestBody } from './body/request-body.ts'
import type { Call, Headers, Identity, Operation, Reply, RequestBody } from './call.ts'
import type { ClusterApi } from './cluster-api.ts'
import { asS3Error, type ErrorContext, errorReply, slowDown } from './error-reply.ts'
import type { Exchange } from './exchange.ts'
import type { GatewayMetrics } from './metrics.ts'
import type { OperationName } from './operation-names.ts'
import { PATIENT_OPERATIONS, patientReply } from './patient-reply.ts'
import { collectHeaders, decodeHeaders, withoutFraming } from './raw-headers.ts'
import { type Recognised, recognise } from './recognise.ts'
import { type SendOptions, sendReply } from './send-reply.ts'
import { errorDocument } from './xml/error-document.ts'

/** Bounds of the pipeline. */
export interface PipelineLimits {
  /** Requests that run at once. */
  inFlight: number
  /** Requests that wait for their turn; more are told to slow down. */
  waiting: number
  /** How long one waits for its turn. */
  waitMs: number
  /** A body from which nothing comes for so long is given up. */
  bodyIdleMs: number
  /** Likewise a form that comes more slowly: nobody knows yet who sends it, and its turn and memory are taken. */
  formBytesPerSecondMin: number
}

export interface PipelineOptions {
  /** Hosts under which buckets are sub-domains. */
  domains: readonly string[]
  /** Any region is accepted in signatures unless `enforced`. */
  region: { name: string; enforced: boolean }
  credentials: Credentials
  /** AWS's own answers only. */
  strict: boolean
  limits: PipelineLimits
}

export interface PipelineParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  objects: ObjectStore
  operations: Readonly<Record<OperationName, Operation>>
  metrics: GatewayMetrics
  /** Without one /_kintsugi/ is a bucket that can not be. */
  admin?: AdminApi | ClusterApi | undefined
}

/** What runs a request once it is admitted. */
type Run = () => Promise<Reply>

/** One request on its way: what is known of it so far. */
interface Passage {
  exchange: Exchange
  record: AccessRecord
  receivedMs: number
  departed: AbortController
  /** Its answer is JSON, whatever it is. */
  isAdmin: boolean
}

/** Serves requests, each with handle(), which never throws. */
export class Pipeline {
  /** While true replies end their connections. */
  closing = false
  readonly #options: PipelineOptions
  readonly #parts: PipelineParts
  readonly #turns: Semaphore
  readonly #keys = new SigningKeys()
  readonly #hostId: string

  constructor(options: PipelineOptions, parts: PipelineParts) {
    this.#options = options
    this.#parts = parts
    this.#turns = new Semaphore(options.limits.inFlight, { maxWaiting: options.limits.waiting })
    this.#hostId = asBuffer(parts.world.random.bytes(32)).toString('base64')
  }

  /** Answers one request, whatever happens, and logs it. */
  async handle(exchange: Exchange): Promise<void> {
    const { clock } = this.#parts.world
    const startMs = clock.monotonicMs()
    const passage = this.#begin(exchange)
    this.#parts.metrics.started()
    try {
      await this.#serve(passage)
    } catch (error) {
      await this.#fail(passage, error)
    }
    passage.record.ms = clock.monotonicMs() - startMs
    this.#parts.metrics.finished(passage.record)
    logAccess(this.#parts.log, passage.record)
  }

  #begin(exchange: Exchange): Passage {
    const { request, response } = exchange
    const { clock, random } = this.#parts.world
    const departed = new AbortController()
    response.once('close', () => {
      if (!response.writableFinished) departed.abort(new ClientGone('the client went away'))
    })
    const record: AccessRecord = {
      requestId: asBuffer(random.bytes(8)).toString('hex').toUpperCase(),
      remoteAddress: request.socket.remoteAddress ?? '',
      method: request.method ?? '',
      path: (request.url ?? '').split('?', 1)[0] ?? '',
      operation: '',
      accessKeyId: '',
      status: 0,
      errorCode: '',
      bytesIn: 0,
      bytesOut: 0,
      ms: 0,
    }
    return { exchange, record, receivedMs: clock.now(), departed, isAdmin: false }
  }

  async #serve(passage: Passage): Promise<void> {
    const run = this.#admitAdmin(passage) ?? this.#admitS3(passage)
    const release = await this.#takeTurn(passage)
    try {
      const reply = await run()
      passage.record.status = reply.status
      await sendReply(passage.exchange, reply, this.#sendOptions(passage, release))
    } finally {
      release()
    }
  }

  #admitS3(passage: Passage): Run {
    const call = this.#admit(passage)
    return () => this.#run(call, passage)
  }

  /** Undefined for what is not of the admin API: all of S3. */
  #admitAdmin(passage: Passage): Run | undefined {
    const { admin } = this.#parts
    const { request } = passage.exchange
    if (admin === undefined) return undefined
    const url = request.url ?? ''
    const address = findAdminAddress(url, request.headers.host, this.#options.domains)
    if (address === undefined) return undefined
    passage.isAdmin = true
    const { record, departed } = passage
    record.operation = 'Admin'
    const rawHeaders = collectHeaders(request.rawHeaders)
    const headers = decodeHeaders(rawHeaders)
    const asked = { method: record.method, address, headers, rawHeaders }
    record.accessKeyId = authenticateAdmin(asked, this.#authParts(passage))
    return () => runAdmin(asked, admin, departed.signal)
  }

  #authParts({ receivedMs }: Passage): AuthParts {
    const { credentials, region } = this.#options
    return { credentials, region, keys: this.#keys, nowMs: receivedMs }
  }

  #run(call: Call, passage: Passage): Promise<Reply> {
    const running = this.#parts.operations[call.operation](call)
    if (!PATIENT_OPERATIONS.has(call.operation)) return running
    return patientReply(running, {
      clock: this.#parts.world.clock,
      signal: passage.departed.signal,
      describe: (error) => {
        passage.record.errorCode = error.code
        this.#logTrouble(passage.record, error)
        return errorDocument(error, this.#errorContext(passage.record))
      },
    })
  }

  #errorContext({ requestId, method, path }: AccessRecord): ErrorContext {
    return { requestId, method, resource: path, hostId: this.#hostId }
  }

  /** From bytes to a call that may run, or an S3 error. Nothing of the body is read yet. */
  #admit(passage: Passage): Call {
    const { exchange, record, receivedMs, departed } = passage
    const { request } = exchange
    const rawHeaders = collectHeaders(request.rawHeaders)
    const { method } = record
    const head = { method, url: request.url ?? '', headers: decodeHeaders(rawHeaders) }
    const recognised = recognise(head, this.#options.domains)
    const { headers, operation, query } = recognised
    record.operation = operation
    const { region } = this.#options
    const parts = this.#authParts(passage)
    const { identity, payload } = authenticate(
      { method, address: recognised, headers, rawHeaders },
      parts,
    )
    this.#permit(identity, { operation, query }, record)
    const body = this.#openBody(exchange, record, { ...recognised, method, payload })
    return {
      operation,
      bucket: recognised.bucket,
      key: recognised.key,
      query,
      headers: withoutFraming(headers),
      body,
      identity,
      authenticateForm: (fields) => {
        const signer = authenticateForm(fields, parts) ?? identity
        this.#permit(signer, { operation: 'PutObject', query }, record)
        return signer
      },
      objects: this.#parts.objects,
      region: region.name,
      baseUrl: baseUrl(exchange, recognised),
      strict: this.#options.strict,
      secure: isSecure(exchange),
      requestId: record.requestId,
      receivedMs,
      signal: departed.signal,
    }
  }

  /** Throws unless `identity` may do the operation; the log shall know who asked. */
  #permit(
    identity: Identity,
    { operation, query }: Pick<Recognised, 'operation' | 'query'>,
    record: AccessRecord,
  ): void {
    if (identity.kind === 'root') record.accessKeyId = identity.accessKeyId
    permit(identity, operation, { query, region: this.#options.region.name })
  }

  #openBody(
    exchange: Exchange,
    record: AccessRecord,
    head: {
      method: string
      headers: Headers
      operation: OperationName
      payload: Authenticated['payload']
    },
  ): RequestBody {
    const { bodyIdleMs, formBytesPerSecondMin } = this.#options.limits
    const isForm = head.operation === 'PostObject'
    return requestBody({ ...head, strict: this.#options.strict }, () =>
      readIncoming(exchange.request, {
        clock: this.#parts.world.clock,
        idleMs: bodyIdleMs,
        bytesPerSecondMin: isForm ? formBytesPerSecondMin : undefined,
        onStart: () => {
          if (exchange.awaitsContinue) exchange.response.writeContinue()
          exchange.awaitsContinue = false
        },
        onBytes: (count) => {
          record.bytesIn += count
        },
      }),
    )
  }

  /** Waits until the request may run; returns how to let the next one in, which may be called twice. */
  async #takeTurn({ departed }: Passage): Promise<() => void> {
    if (this.#turns.free > 0 && this.#turns.waiting === 0) await this.#turns.acquire()
    else await this.#queue(departed.signal)
    let taken = true
    return () => {
      if (taken) this.#turns.release()
      taken = false
    }
  }

  async #queue(departed: AbortSignal): Promise<void> {
    const { clock } = this.#parts.world
    const granted = new AbortController()
    const late = new AbortController()
    const timer = clock.sleep(this.#options.limits.waitMs, granted.signal).then(
      () => late.abort(slowDown()),
      () => undefined, // The turn came, or the wait ended otherwise.
    )
    try {
      await this.#turns.acquire(1, AbortSignal.any([departed, late.signal]))
    } finally {
      granted.abort()
      await timer
    }
  }

  #sendOptions({ record, departed }: Passage, onSent: () => void): SendOptions {
    return {
      headers: {
        'x-amz-request-id': record.requestId,
        'x-amz-id-2': this.#hostId,
        server: 'Kintsugi',
      },
      lastOnConnection: this.closing,
      clock: this.#parts.world.clock,
      onBytes: (count) => {
        record.bytesOut += count
      },
      onSent,
      signal: departed.signal,
    }
  }

  /** Answers with the error if that is still possible, else breaks the connection off. */
  async #fail(passage: Passage, thrown: unknown): Promise<void> {
    const { exchange, record, departed } = passage
    const error = asS3Error(thrown)
    record.errorCode = error.code
    if (departed.signal.aborted) {
      record.status = CLIENT_GONE
      return
    }
    this.#logTrouble(record, error)
    if (exchange.response.headersSent) {
      exchange.response.destroy()
      return
    }
    record.status = error.status
    const { requestId } = record
    try {
      const context = this.#errorContext(record)
      const reply = passage.isAdmin ? adminErrorReply(error, context) : errorReply(error, context)
      await sendReply(
        exchange,
        reply,
        this.#sendOptions(passage, () => {}),
      )
    } catch (cause) {
      this.#parts.log.debug({ requestId, error: String(cause) }, 'an error could not be sent')
      exchange.response.destroy()
    }
  }

  /** What is not the client's doing is told once, with its cause. */
  #logTrouble({ requestId, operation }: AccessRecord, error: { status: number; cause?: unknown }) {
    if (error.status < 500 || error.cause === undefined) return
    const trouble = { requestId, operation, error: describe(error.cause) }
    if (error.status === 500) this.#parts.log.error(trouble, 'a request failed')
    else this.#parts.log.warn(trouble, 'a request could not be served now')
  }
}

class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

function describe(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
}

function baseUrl({ request }: Exchange, { baseHost }: Recognised): string {
  const { localAddress, localPort } = request.socket
  const scheme = isSecure({ request }) ? 'https' : 'http'
  // It goes into headers: what is no name of a host, which forms need not sign, must not make them fail.
  const isHost = /^[\w.:[\]-]+$/.test(baseHost)
  return `${scheme}://${isHost ? baseHost : `${localAddress}:${localPort}`}/`
}

function isSecure({ request }: Pick<Exchange, 'request'>): boolean {
  return (request.socket as TLSSocket).encrypted === true
}
