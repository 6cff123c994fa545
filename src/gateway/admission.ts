// From the head of a request to a call that may run, or an S3 error: recognised, authenticated, permitted. Nothing of the
// body is read yet.
import { Deadlines } from '../kit/deadlines.ts'
import type { Clock } from '../kit/world.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { AdmittedCall } from './admitted-call.ts'
import type { AuthParts } from './auth/auth-request.ts'
import { authenticate } from './auth/authenticate.ts'
import type { Credentials } from './auth/credentials.ts'
import { authenticateForm } from './auth/form-signature.ts'
import type { Payload } from './auth/payload.ts'
import { permit } from './auth/permit.ts'
import { SigningKeys } from './auth/signing-keys.ts'
import { refuseBodyHead } from './body/body-claims.ts'
import { readIncoming } from './body/incoming.ts'
import { requestBody } from './body/request-body.ts'
import type { FormFields, Identity, RequestBody } from './call.ts'
import type { Passage } from './passage.ts'
import { decodeHeaders } from './raw-headers.ts'
import { type Recognised, recognise } from './recognise.ts'

/** Bounds of bodies that are read. */
export interface AdmissionLimits {
  /** A body from which nothing comes for so long is given up. */
  bodyIdleMs: number
  /** Likewise one that comes more slowly: a byte now and then would hold a turn for as long as its sender likes. */
  bodyBytesPerSecondMin: number
  /** A form has to come faster: nobody knows yet who sends it, and its turn and memory are taken. */
  formBytesPerSecondMin: number
}

/** Under which names and regions requests come, who may sign them, and how they are bounded. */
export interface AdmissionOptions {
  /** Hosts under which buckets are sub-domains. */
  domains: readonly string[]
  /** Any region is accepted in signatures unless `enforced`. */
  region: { name: string; enforced: boolean }
  credentials: Credentials
  /** AWS's own answers only. */
  strict: boolean
  limits: AdmissionLimits
}

/** What tells the time of a silent body, and the store that an admitted call is given. */
export interface AdmissionParts {
  clock: Clock
  objects: ObjectStore
}

/** Admits the requests of one gateway. */
export class Admission {
  readonly #objects: ObjectStore
  readonly region: string
  readonly strict: boolean
  readonly #options: AdmissionOptions
  readonly #clock: Clock
  readonly #silence: Deadlines
  readonly #keys = new SigningKeys()

  constructor(options: AdmissionOptions, { clock, objects }: AdmissionParts) {
    this.#objects = objects
    this.region = options.region.name
    this.strict = options.strict
    this.#options = options
    this.#clock = clock
    this.#silence = new Deadlines(options.limits.bodyIdleMs, clock)
  }

  /** The call of a request. Throws S3Error. */
  admit(passage: Passage): AdmittedCall {
    const { method, url } = passage
    const { sentHeaders: rawHeaders } = passage.exchange
    const head = { method, url, headers: decodeHeaders(rawHeaders) }
    const recognised = recognise(head, this.#options.domains)
    const { headers, operation } = recognised
    passage.operation = operation
    const asked = { method, address: recognised, headers, rawHeaders }
    const { identity, payload } = authenticate(asked, this.authParts(passage))
    this.#permit(identity, { operation, query: recognised.query }, passage)
    refuseBodyHead(method, headers)
    const admitted = { passage, recognised, identity, payload, body: undefined, objects: undefined }
    return new AdmittedCall(admitted, this)
  }

  /** The store, as a request has it whose turn has come. */
  storeFor(passage: Passage): ObjectStore {
    return this.#objects.forRequest?.(passage) ?? this.#objects
  }

  /** What authentication needs to know when this request came. */
  authParts({ receivedMs }: Passage): AuthParts {
    const { credentials, region } = this.#options
    return { credentials, region, keys: this.#keys, nowMs: receivedMs }
  }

  /** The body of a call. */
  openBody(passage: Passage, { headers, operation }: Recognised, payload: Payload): RequestBody {
    const { bodyBytesPerSecondMin, formBytesPerSecondMin } = this.#options.limits
    const { exchange, method } = passage
    const head = { method, headers, operation, payload, strict: this.strict }
    return requestBody(head, () =>
      readIncoming(exchange, {
        clock: this.#clock,
        silence: this.#silence,
        bytesPerSecondMin:
          operation === 'PostObject' ? formBytesPerSecondMin : bodyBytesPerSecondMin,
        onStart: () => {
          if (exchange.awaitsContinue) exchange.sendContinue()
          exchange.awaitsContinue = false
        },
        onBytes: (count) => {
          passage.bytesIn += count
        },
      }),
    )
  }

  /** Who signed the fields of a form, or else sent it. Throws unless that one may write. */
  signerOf(
    passage: Passage,
    sent: { identity: Identity; recognised: Recognised },
    fields: FormFields,
  ): Identity {
    const signer = authenticateForm(fields, this.authParts(passage)) ?? sent.identity
    this.#permit(signer, { operation: 'PutObject', query: sent.recognised.query }, passage)
    return signer
  }

  /** Throws unless `identity` may do the operation; the log shall know who asked. */
  #permit(
    identity: Identity,
    { operation, query }: Pick<Recognised, 'operation' | 'query'>,
    passage: Passage,
  ): void {
    if (identity.kind === 'root') passage.accessKeyId = identity.accessKeyId
    permit(identity, operation, { query, region: this.region })
  }
}
