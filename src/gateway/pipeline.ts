// The life of every request: recognise, authenticate, permit, run, reply. Errors become S3 errors here and only here.
import { asBuffer } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { CLIENT_GONE, logAccess } from './access-log.ts'
import { adminErrorReply, authenticateAdmin, findAdminAddress, runAdmin } from './admin.ts'
import type { AdminApi } from './admin-api.ts'
import { AdmittedCall } from './admitted-call.ts'
import type { AuthParts } from './auth/auth-request.ts'
import { authenticate } from './auth/authenticate.ts'
import type { Credentials } from './auth/credentials.ts'
import { authenticateForm } from './auth/form-signature.ts'
import { permit } from './auth/permit.ts'
import { SigningKeys } from './auth/signing-keys.ts'
import { readIncoming } from './body/incoming.ts'
import { type BodyHead, requestBody } from './body/request-body.ts'
import type { Call, Identity, Operation, Reply, RequestBody } from './call.ts'
import type { ClusterApi } from './cluster-api.ts'
import { asS3Error, type ErrorContext, errorReply, slowDown } from './error-reply.ts'
import type { Exchange } from './exchange.ts'
import type { GatewayMetrics } from './metrics.ts'
import type { OperationName } from './operation-names.ts'
import { Passage } from './passage.ts'
import { PATIENT_OPERATIONS, patientReply } from './patient-reply.ts'
import { decodeHeaders } from './raw-headers.ts'
import { type Recognised, recognise } from './recognise.ts'
import { RequestIds } from './request-ids.ts'
import { sendReply } from './send-reply.ts'
import { type Size, sizeOfRequest, type Turn, Turns } from './turns.ts'
import { errorDocument } from './xml/error-document.ts'

/** Bounds of the pipeline. */
export interface PipelineLimits {
  /** Requests that run at once; those with large bodies have half of these turns at most. */
  inFlight: number
  /** Requests that wait for their turn, small ones and large ones each; more are told to slow down. */
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

/** Serves requests, each with handle(), which never throws. */
export class Pipeline {
  /** While true replies end their connections. */
  closing = false
  readonly #options: PipelineOptions
  readonly #parts: PipelineParts
  readonly #turns: Turns
  readonly #keys = new SigningKeys()
  readonly #ids: RequestIds
  readonly #hostId: string

  constructor(options: PipelineOptions, parts: PipelineParts) {
    this.#options = options
    this.#parts = parts
    this.#turns = new Turns(options.limits)
    this.#ids = new RequestIds(parts.world.random)
    this.#hostId = asBuffer(parts.world.random.bytes(32)).toString('base64')
  }

  /** Answers one request, whatever happens, and logs it. */
  async handle(exchange: Exchange): Promise<void> {
    const { clock } = this.#parts.world
    const passage = new Passage(exchange, {
      requestId: this.#ids.next(),
      receivedMs: clock.now(),
      monotonicMs: clock.monotonicMs(),
    })
    this.#parts.metrics.started()
    try {
      await this.#serve(passage)
    } catch (error) {
      await this.#fail(passage, error)
    }
    passage.ms = clock.monotonicMs() - passage.startMs
    this.#parts.metrics.finished(passage)
    logAccess(this.#parts.log, passage)
  }

  async #serve(passage: Passage): Promise<void> {
    const run = this.#admitAdmin(passage) ?? this.#admitS3(passage)
    const size = sizeOfRequest(passage.exchange.request.sentHeaders)
    let turn = this.#turns.tryTake(size) ?? (await this.#queue(passage, size))
    try {
      const reply = await run()
      passage.status = reply.status
      const { body } = reply
      if (body?.kind === 'stream' && !turn.maySend(body.bytes)) {
        turn.end()
        turn = await this.#queueToSend(passage, body.chunks)
      }
      await this.#send(passage, reply, () => turn.end())
    } finally {
      turn.end()
    }
  }

  #admitS3(passage: Passage): Run {
    const call = this.#admit(passage)
    return () => this.#run(call, passage)
  }

  /** Undefined for what is not of the admin API: all of S3. */
  #admitAdmin(passage: Passage): Run | undefined {
    const { admin } = this.#parts
    if (admin === undefined) return undefined
    const { sentHeaders: rawHeaders } = passage.exchange.request
    const address = findAdminAddress(passage.url, rawHeaders.host, this.#options.domains)
    if (address === undefined) return undefined
    passage.isAdmin = true
    passage.operation = 'Admin'
    const headers = decodeHeaders(rawHeaders)
    const asked = { method: passage.method, address, headers, rawHeaders }
    passage.accessKeyId = authenticateAdmin(asked, this.#authParts(passage))
    return () => runAdmin(asked, admin, passage.signal)
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
      signal: passage.signal,
      describe: (error) => {
        passage.errorCode = error.code
        this.#logTrouble(passage, error)
        return errorDocument(error, this.#errorContext(passage))
      },
    })
  }

  #errorContext({ requestId, method, path }: Passage): ErrorContext {
    return { requestId, method, resource: path, hostId: this.#hostId }
  }

  /** From bytes to a call that may run, or an S3 error. Nothing of the body is read yet. */
  #admit(passage: Passage): Call {
    const { method, url, exchange } = passage
    const { sentHeaders: rawHeaders } = exchange.request
    const head = { method, url, headers: decodeHeaders(rawHeaders) }
    const recognised = recognise(head, this.#options.domains)
    const { headers, operation, query } = recognised
    passage.operation = operation
    const auth = this.#authParts(passage)
    const asked = { method, address: recognised, headers, rawHeaders }
    const { identity, payload } = authenticate(asked, auth)
    this.#permit(identity, { operation, query }, passage)
    const { region, strict } = this.#options
    const body = this.#openBody(passage, { method, headers, operation, payload, strict })
    const signedBy: Call['authenticateForm'] = (fields) => {
      const signer = authenticateForm(fields, auth) ?? identity
      this.#permit(signer, { operation: 'PutObject', query }, passage)
      return signer
    }
    const { objects } = this.#parts
    return new AdmittedCall(
      { passage, recognised, identity, body, authenticateForm: signedBy },
      { objects, region: region.name, strict },
    )
  }

  /** Throws unless `identity` may do the operation; the log shall know who asked. */
  #permit(
    identity: Identity,
    { operation, query }: Pick<Recognised, 'operation' | 'query'>,
    passage: Passage,
  ): void {
    if (identity.kind === 'root') passage.accessKeyId = identity.accessKeyId
    permit(identity, operation, { query, region: this.#options.region.name })
  }

  #openBody(passage: Passage, head: BodyHead): RequestBody {
    const { bodyIdleMs, formBytesPerSecondMin } = this.#options.limits
    const { exchange } = passage
    return requestBody(head, () =>
      readIncoming(exchange.request, {
        clock: this.#parts.world.clock,
        idleMs: bodyIdleMs,
        bytesPerSecondMin: head.operation === 'PostObject' ? formBytesPerSecondMin : undefined,
        onStart: () => {
          if (exchange.awaitsContinue) exchange.response.writeContinue()
          exchange.awaitsContinue = false
        },
        onBytes: (count) => {
          passage.bytesIn += count
        },
      }),
    )
  }

  /** Waits until the request may run. */
  async #queue({ signal }: Passage, size: Size): Promise<Turn> {
    const { clock } = this.#parts.world
    const granted = new AbortController()
    const late = new AbortController()
    const timer = clock.sleep(this.#options.limits.waitMs, granted.signal).then(
      () => late.abort(slowDown()),
      () => undefined, // The turn came, or the wait ended otherwise.
    )
    try {
      return await this.#turns.take(size, AbortSignal.any([signal, late.signal]))
    } finally {
      granted.abort()
      await timer
    }
  }

  /** Waits until the bytes of an answer may go out; none of them is asked for before. */
  async #queueToSend(passage: Passage, chunks: AsyncIterable<Uint8Array>): Promise<Turn> {
    try {
      return await this.#queue(passage, 'large')
    } catch (error) {
      await chunks[Symbol.asyncIterator]().return?.()
      throw error
    }
  }

  #send(passage: Passage, reply: Reply, onSent: () => void): Promise<void> {
    return sendReply(passage, reply, {
      hostId: this.#hostId,
      lastOnConnection: this.closing,
      clock: this.#parts.world.clock,
      onSent,
    })
  }

  /** Answers with the error if that is still possible, else breaks the connection off. */
  async #fail(passage: Passage, thrown: unknown): Promise<void> {
    const { requestId, exchange } = passage
    const error = asS3Error(thrown)
    passage.errorCode = error.code
    if (passage.departed) {
      passage.status = CLIENT_GONE
      return
    }
    this.#logTrouble(passage, error)
    if (exchange.response.headersSent) {
      exchange.response.destroy()
      return
    }
    passage.status = error.status
    try {
      const context = this.#errorContext(passage)
      const reply = passage.isAdmin ? adminErrorReply(error, context) : errorReply(error, context)
      await this.#send(passage, reply, () => {})
    } catch (cause) {
      this.#parts.log.debug({ requestId, error: String(cause) }, 'an error could not be sent')
      exchange.response.destroy()
    }
  }

  /** What is not the client's doing is told once, with its cause. */
  #logTrouble({ requestId, operation }: Passage, error: { status: number; cause?: unknown }) {
    if (error.status < 500 || error.cause === undefined) return
    const trouble = { requestId, operation, error: describe(error.cause) }
    if (error.status === 500) this.#parts.log.error(trouble, 'a request failed')
    else this.#parts.log.warn(trouble, 'a request could not be served now')
  }
}

function describe(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
}
