// The call of a request that was recognised, authenticated and permitted. What few operations ask for is made when
// they do: a HEAD wants neither a body nor a signal.
import type { TLSSocket } from 'node:tls'
import type { ObjectStore } from '../objects/object-store.ts'
import type { Call, FormFields, Headers, Identity, Query, RequestBody } from './call.ts'
import type { OperationName } from './operation-names.ts'
import type { Passage } from './passage.ts'
import { withoutFraming } from './raw-headers.ts'
import type { Recognised } from './recognise.ts'

/** What the pipeline knows of a call, and does for it. */
export interface Admission {
  passage: Passage
  recognised: Recognised
  identity: Identity
  body: RequestBody
  /** Throws unless the signer of the form may write. */
  authenticateForm(fields: FormFields): Identity
}

/** What is the same for every call of a gateway. */
export interface CallParts {
  objects: ObjectStore
  region: string
  strict: boolean
}

/** One call. */
export class AdmittedCall implements Call {
  readonly operation: OperationName
  readonly bucket: string
  readonly key: string
  readonly headers: Headers
  readonly query: Query
  readonly body: RequestBody
  readonly identity: Identity
  readonly authenticateForm: (fields: FormFields) => Identity
  readonly objects: ObjectStore
  readonly region: string
  readonly strict: boolean
  readonly requestId: string
  readonly receivedMs: number
  readonly passage: Passage
  readonly baseHost: string

  constructor(
    { passage, recognised, identity, body, authenticateForm }: Admission,
    { objects, region, strict }: CallParts,
  ) {
    this.operation = recognised.operation
    this.bucket = recognised.bucket
    this.key = recognised.key
    this.headers = withoutFraming(recognised.headers)
    this.query = recognised.query
    this.body = body
    this.identity = identity
    this.authenticateForm = authenticateForm
    this.objects = objects
    this.region = region
    this.strict = strict
    this.requestId = passage.requestId
    this.receivedMs = passage.receivedMs
    this.passage = passage
    this.baseHost = recognised.baseHost
  }

  get signal(): AbortSignal {
    return this.passage.signal
  }

  get secure(): boolean {
    return (this.passage.exchange.request.socket as TLSSocket).encrypted === true
  }

  get baseUrl(): string {
    const { localAddress, localPort } = this.passage.exchange.request.socket
    const scheme = this.secure ? 'https' : 'http'
    // It goes into headers: what is no name of a host, which forms need not sign, must not make them fail.
    const isHost = /^[\w.:[\]-]+$/.test(this.baseHost)
    return `${scheme}://${isHost ? this.baseHost : `${localAddress}:${localPort}`}/`
  }
}
