// The life of every request: recognise, authenticate, permit, run, reply. Errors become S3 errors here and only here.
import { asBuffer } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { CLIENT_GONE, logAccess } from './access-log.ts'
import { adminErrorReply, authenticateAdmin, findAdminAddress, runAdmin } from './admin.ts'
import type { AdminApi } from './admin-api.ts'
import { Admission, type AdmissionLimits, type AdmissionOptions } from './admission.ts'
import type { Call, Operation, Reply } from './call.ts'
import type { ClusterApi } from './cluster-api.ts'
import { asS3Error, type ErrorContext, errorReply, slowDown } from './error-reply.ts'
import type { Exchange } from './exchange.ts'
import type { GatewayMetrics } from './metrics.ts'
import type { OperationName } from './operation-names.ts'
import { Passage } from './passage.ts'
import { PATIENT_OPERATIONS, patientReply } from './patient-reply.ts'
import { decodeHeaders } from './raw-headers.ts'
import { RequestIds } from './request-ids.ts'
import { sendAtOnce, sendReply } from './send-reply.ts'
import { type Size, sizeOfRequest, type Turn, Turns } from './turns.ts'
import { errorDocument } from './xml/error-document.ts'

/** Bounds of the pipeline. */
export interface PipelineLimits extends AdmissionLimits {
  /** Requests that run at once; those with large bodies have half of these turns at most. */
  inFlight: number
  /** Requests that wait for their turn, small ones and large ones each; more are told to slow down. */
  waiting: number
  /** How long one waits for its turn. */
  waitMs: number
}

/** What admission is told, with the bounds of running and waiting beside its own. */
export interface PipelineOptions extends AdmissionOptions {
  limits: PipelineLimits
}

/** What requests are served with, and where it is counted and logged. */
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
type Run = () => Reply | Promise<Reply>

/** Serves requests, each with handle(), which never throws. */
export class Pipeline {
  /** While true replies end their connections. */
  closing = false
  /** Called whenever a request is over. */
  onEnd: () => void = () => {}
  readonly #options: PipelineOptions
  readonly #parts: PipelineParts
  readonly #turns: Turns
  readonly #admission: Admission
  readonly #ids: RequestIds
  readonly #hostId: string

  constructor(options: PipelineOptions, parts: PipelineParts) {
    this.#options = options
    this.#parts = parts
    this.#turns = new Turns(options.limits)
    this.#admission = new Admission(options, { clock: parts.world.clock, objects: parts.objects })
    this.#ids = new RequestIds(parts.world.random)
    this.#hostId = asBuffer(parts.world.random.bytes(32)).toString('base64')
  }

  /** Answers one request, whatever happens, and logs it. What needs no waiting is answered before this returns. */
  handle(exchange: Exchange): void {
    const { clock } = this.#parts.world
    const passage = new Passage(exchange, {
      requestId: this.#ids.next(),
      receivedMs: clock.now(),
      monotonicMs: clock.monotonicMs(),
    })
    this.#parts.metrics.started()
    try {
      const later = this.#begin(passage)
      if (later === undefined) passage.whenOver(this.#over)
      else void this.#settle(passage, later)
    } catch (error) {
      void this.#settle(passage, Promise.reject(error))
    }
  }

  /** The client has a reply that nobody waited for, or is gone. */
  readonly #over = (passage: Passage): void => {
    passage.turn?.end()
    if (passage.departed) this.#noteDeparture(passage)
    this.#finish(passage)
  }

  async #settle(passage: Passage, serving: Promise<void>): Promise<void> {
    try {
      await serving
    } catch (error) {
      await this.#fail(passage, error)
    }
    this.#finish(passage)
  }

  #finish(passage: Passage): void {
    passage.ms = this.#parts.world.clock.monotonicMs() - passage.startMs
    this.#parts.metrics.finished(passage)
    logAccess(this.#parts.log, passage)
    this.onEnd()
  }

  /** Undefined when the reply is on its way already. */
  #begin(passage: Passage): Promise<void> | undefined {
    const run = this.#admitAdmin(passage) ?? this.#admitS3(passage)
    const size = sizeOfRequest(passage.exchange.sentHeaders)
    const turn = this.#turns.tryTake(size)
    if (turn === undefined) return this.#serveInTurn(passage, size, run)
    try {
      const reply = run()
      if (reply instanceof Promise || !this.#sendAtOnce(passage, reply))
        return this.#serve(passage, reply, turn)
      passage.turn = turn
      return undefined
    } catch (error) {
      turn.end()
      throw error
    }
  }

  #sendAtOnce(passage: Passage, reply: Reply): boolean {
    passage.status = reply.status
    return sendAtOnce(passage, reply, { hostId: this.#hostId, lastOnConnection: this.closing })
  }

  async #serveInTurn(passage: Passage, size: Size, run: Run): Promise<void> {
    const turn = await this.#queue(passage, size)
    try {
      await this.#serve(passage, run(), turn)
    } finally {
      turn.end()
    }
  }

  async #serve(passage: Passage, running: Reply | Promise<Reply>, first: Turn): Promise<void> {
    let turn = first
    try {
      const reply = await running
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
    const call = this.#admission.admit(passage)
    return () => this.#run(call, passage)
  }

  /** Undefined for what is not of the admin API: all of S3. */
  #admitAdmin(passage: Passage): Run | undefined {
    const { admin } = this.#parts
    if (admin === undefined) return undefined
    const { sentHeaders: rawHeaders } = passage.exchange
    const address = findAdminAddress(passage.url, rawHeaders.host, this.#options.domains)
    if (address === undefined) return undefined
    passage.isAdmin = true
    passage.operation = 'Admin'
    const headers = decodeHeaders(rawHeaders)
    const asked = { method: passage.method, address, headers, rawHeaders }
    passage.accessKeyId = authenticateAdmin(asked, this.#admission.authParts(passage))
    return () => runAdmin(asked, admin, passage.signal)
  }

  #run(call: Call, passage: Passage): Reply | Promise<Reply> {
    const running = this.#parts.operations[call.operation](call)
    if (!(running instanceof Promise) || !PATIENT_OPERATIONS.has(call.operation)) return running
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
      this.#noteDeparture(passage)
      return
    }
    this.#logTrouble(passage, error)
    if (exchange.isHeadSent) {
      exchange.destroy()
      return
    }
    passage.status = error.status
    try {
      const context = this.#errorContext(passage)
      const reply = passage.isAdmin ? adminErrorReply(error, context) : errorReply(error, context)
      await this.#send(passage, reply, () => {})
    } catch (cause) {
      this.#parts.log.debug({ requestId, error: String(cause) }, 'an error could not be sent')
      exchange.destroy()
    }
  }

  #noteDeparture(passage: Passage): void {
    passage.status = CLIENT_GONE
    if (passage.errorCode === '') passage.errorCode = 'InternalError'
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
