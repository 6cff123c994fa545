// The call of a request that was recognised, authenticated and permitted. What few operations ask for is made when
// they do: a HEAD wants neither a body nor a signal.
import type { ObjectStore } from '../objects/object-store.ts'
import type { Payload } from './auth/payload.ts'
import type { Call, FormFields, Headers, Identity, Query, RequestBody } from './call.ts'
import type { OperationName } from './operation-names.ts'
import type { Passage } from './passage.ts'
import { withoutFraming } from './raw-headers.ts'
import type { Recognised } from './recognise.ts'

/** What is known of a call. */
export interface Admitted {
  passage: Passage
  recognised: Recognised
  identity: Identity
  payload: Payload
  /** Once somebody has asked for it. */
  body: RequestBody | undefined
  /** Likewise. */
  objects: ObjectStore | undefined
}

/** What is the same for every call of a gateway, and what is done for those that ask. */
export interface CallParts {
  region: string
  strict: boolean
  storeFor(passage: Passage): ObjectStore
  openBody(passage: Passage, recognised: Recognised, payload: Payload): RequestBody
  signerOf(
    passage: Passage,
    sent: { identity: Identity; recognised: Recognised },
    fields: FormFields,
  ): Identity
}

/** One call. Copies of it (callFor) have the same body. */
export class AdmittedCall implements Call {
  readonly operation: OperationName
  readonly bucket: string
  readonly key: string
  readonly headers: Headers
  readonly query: Query
  readonly identity: Identity
  readonly receivedMs: number
  readonly admitted: Admitted
  readonly parts: CallParts

  constructor(admitted: Admitted, parts: CallParts) {
    const { recognised } = admitted
    this.operation = recognised.operation
    this.bucket = recognised.bucket
    this.key = recognised.key
    this.headers = withoutFraming(recognised.headers)
    this.query = recognised.query
    this.identity = admitted.identity
    this.receivedMs = admitted.passage.receivedMs
    this.admitted = admitted
    this.parts = parts
  }

  get objects(): ObjectStore {
    const { admitted, parts } = this
    admitted.objects ??= parts.storeFor(admitted.passage)
    return admitted.objects
  }

  get region(): string {
    return this.parts.region
  }

  get strict(): boolean {
    return this.parts.strict
  }

  get requestId(): string {
    return this.admitted.passage.requestId
  }

  get body(): RequestBody {
    const { passage, recognised, payload } = this.admitted
    this.admitted.body ??= this.parts.openBody(passage, recognised, payload)
    return this.admitted.body
  }

  authenticateForm(fields: FormFields): Identity {
    return this.parts.signerOf(this.admitted.passage, this.admitted, fields)
  }

  get signal(): AbortSignal {
    return this.admitted.passage.signal
  }

  get secure(): boolean {
    return this.admitted.passage.exchange.peers.isSecure
  }

  get baseUrl(): string {
    const { localAddress, localPort, isSecure } = this.admitted.passage.exchange.peers
    const scheme = isSecure ? 'https' : 'http'
    // It goes into headers: what is no name of a host, which forms need not sign, must not make them fail.
    const { baseHost } = this.admitted.recognised
    const isHost = /^[\w.:[\]-]+$/.test(baseHost)
    return `${scheme}://${isHost ? baseHost : `${localAddress}:${localPort}`}/`
  }
}
