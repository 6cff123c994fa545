// What an operation is given and what it gives back: the seam between the pipeline and operations/*.
import type {
  BodyDigests,
  ByteRange,
  Checksum,
  ChecksumAlgorithm,
  ObjectStore,
} from '../objects/object-store.ts'
import type { OperationName } from './operation-names.ts'

/** Request headers: names in lower case, values decoded from UTF-8, duplicates joined by a comma. */
export type Headers = Readonly<Record<string, string | undefined>>

/** Query parameters after one decoding; the first wins where a name stands twice. `?acl` and `?acl=` are both ''. */
export type Query = Readonly<Record<string, string | undefined>>

/** Fields of a form before its file: names in lower case, values as sent. */
export type FormFields = Readonly<Record<string, string | undefined>>

/** Who asks. Until there are users it is the root, or nobody. */
export type Identity = { kind: 'root'; accessKeyId: string } | { kind: 'anonymous' }

/** Whether somebody may pass over a GOVERNANCE retention: until there are users only the root. */
export function mayBypassGovernance(identity: Identity): boolean {
  return identity.kind === 'root'
}

/** The body of a request. Reading it is what sends `100 Continue`: refuse before. */
export interface RequestBody {
  /** Length after decoding of aws-chunked; 0 when there is none. Throws MissingContentLength (411) when it is not known. */
  readonly bytes: number
  /**
   * Checked against everything the client claims of it (length, SHA-256, Content-MD5, checksum header or
   * trailer, chunk signatures); finish() throws the S3 error. `checksum` is computed when the client sent none, and
   * with `always` also beside the one that it sent.
   */
  open(checksum: ChecksumAlgorithm, options?: { always: true }): OpenBody
  /** The whole of a small body as text, checked likewise; over `maxBytes` is MaxMessageLengthExceeded. */
  text(maxBytes: number): Promise<string>
  /** As it comes, for a form, which says of itself what its file is: a head that claims a digest of the whole is refused. */
  raw(): RawBody
}

/** A body that is being read. */
export interface OpenBody {
  bytes: number
  chunks: AsyncIterable<Uint8Array>
  finish(): BodyDigests
  /** The checksum that the client sent, once finish() found it to be right. */
  readonly claimed?: Checksum | undefined
}

/** A body as it comes. */
export interface RawBody {
  /** Undefined when the client did not say. */
  bytes: number | undefined
  chunks: AsyncIterable<Uint8Array>
}

/** One request, recognised, authenticated and permitted. */
export interface Call {
  operation: OperationName
  /** '' when the operation has no bucket (ListBuckets). */
  bucket: string
  /** Decoded once; '' when the operation has no key. */
  key: string
  headers: Headers
  query: Query
  body: RequestBody
  identity: Identity
  /** The same for a form, which carries its signature in its fields. Throws unless that one may write. */
  authenticateForm(fields: FormFields): Identity
  objects: ObjectStore
  /** Region of the store. */
  region: string
  /** http://host:port/ as the client addressed it, without bucket: for Location. */
  baseUrl: string
  /** AWS's own answer where the store would otherwise be more generous (docs/operations.md). */
  strict: boolean
  /** Whether the request came over TLS. */
  secure: boolean
  requestId: string
  /** Milliseconds since 1970 when the request came. */
  receivedMs: number
  /** Aborted when the client goes away or a deadline passes. */
  signal: AbortSignal
}

/** The same call for another key, with other headers. */
export function callFor(call: Call, changed: Partial<Pick<Call, 'key' | 'headers'>>): Call {
  // Not by spreading: some of a call is made only when it is asked for.
  return Object.assign(Object.create(Object.getPrototypeOf(call)), call, changed)
}

/** What goes back. Names of headers in lower case. */
export interface Reply {
  status: number
  headers?: Record<string, string>
  body?:
    | { kind: 'text'; text: string }
    /** Bytes that are there already. */
    | { kind: 'bytes'; bytes: Uint8Array }
    /** Exactly `bytes` long; the reply is broken off when it throws. The first chunk is awaited before the head is sent. */
    | { kind: 'stream'; bytes: number; chunks: AsyncIterable<Uint8Array> }
    /** Of unknown length: text that comes while the operation still runs. */
    | { kind: 'trickle'; chunks: AsyncIterable<string> }
}

/** One file of operations/ exports one. What needs no waiting is answered at once. */
export type Operation = (call: Call) => Reply | Promise<Reply>

export type { ByteRange }
