// x-amz-server-side-encryption*: how a request wants its bytes encrypted, and how an answer says that they are.
import { unreachable } from '../../kit/assert.ts'
import type {
  Bucket,
  BucketEncryption,
  Encryption,
  EncryptionRequest,
} from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import {
  CUSTOMER_KEY,
  hasCustomerKey,
  type KeyCarrier,
  parseCustomerKey,
  SOURCE_CUSTOMER_KEY,
} from './customer-key-headers.ts'

const METHOD = 'x-amz-server-side-encryption'
const KEY_ID = `${METHOD}-aws-kms-key-id`
const CONTEXT = `${METHOD}-context`
const BUCKET_KEY = `${METHOD}-bucket-key-enabled`

const CONTEXT_BYTES_MAX = 8 * 1024

type KmsRequest = Extract<EncryptionRequest, { kind: 'SSE-KMS' }>

/** What the request asks for, or else what the bucket does by default; undefined: stored as it comes. */
export function parseEncryption(
  carrier: KeyCarrier,
  bucket: Bucket,
): EncryptionRequest | undefined {
  const { headers } = carrier
  const { encryption } = bucket.settings ?? {}
  refuseSourceKey(headers)
  const method = headers[METHOD]
  if (method !== undefined && hasCustomerKey(headers, CUSTOMER_KEY)) throw incompatible(method)
  const customerKey = parseCustomerKey(carrier)
  if (method !== 'aws:kms') refuseKmsHeaders(headers)
  if (customerKey) {
    if (encryption?.blocksCustomerKeys) throw blocked()
    return { kind: 'SSE-C', customerKey }
  }
  switch (method) {
    case undefined:
      return encryption && byDefault(encryption, headers)
    case 'AES256':
      return { kind: 'SSE-S3' }
    case 'aws:kms':
      return parseKms(headers, encryption)
    case 'aws:kms:dsse':
    case 'aws:fsx':
      throw new S3Error('NotImplemented', { Header: METHOD })
    default:
      throw invalidArgument(METHOD, method, 'The encryption method specified is not supported')
  }
}

/** Throws where a request can not choose: a read. */
export function refuseMethod(headers: Headers): void {
  refuseAny(headers, [METHOD, KEY_ID, CONTEXT, BUCKET_KEY])
}

/** Throws where a part chooses what its upload did not choose at its beginning (pitfall 112); the same may be said again. */
export function refuseOtherMethod(headers: Headers, encryption: Encryption | undefined): void {
  const context = encryption?.kind === 'SSE-KMS' ? encryption.context : undefined
  const chosen: Headers = { ...encryptionFields(encryption), [CONTEXT]: context }
  refuseAny(
    headers,
    [METHOD, KEY_ID, CONTEXT, BUCKET_KEY].filter((name) => headers[name] !== chosen[name]),
  )
}

function refuseAny(headers: Headers, names: readonly string[]): void {
  const name = names.find((header) => headers[header] !== undefined)
  if (name === undefined) return
  throw invalidArgument(
    name,
    headers[name] ?? '',
    `${name} header is not supported for this operation.`,
  )
}

/** The headers that say how a version is encrypted. */
export function encryptionFields(encryption: Encryption | undefined): Record<string, string> {
  if (!encryption) return {}
  switch (encryption.kind) {
    case 'SSE-S3':
      return { [METHOD]: 'AES256' }
    case 'SSE-KMS':
      return {
        [METHOD]: 'aws:kms',
        [KEY_ID]: encryption.keyId,
        ...(encryption.bucketKey ? { [BUCKET_KEY]: 'true' } : {}),
      }
    case 'SSE-C':
      return {
        [`${CUSTOMER_KEY}-algorithm`]: 'AES256',
        [`${CUSTOMER_KEY}-key-md5`]: encryption.keyMd5,
      }
    default:
      return unreachable(encryption)
  }
}

function byDefault(
  { kind, keyId, bucketKey: usual }: BucketEncryption,
  headers: Headers,
): EncryptionRequest {
  if (kind === 'SSE-S3') return { kind }
  // One object may do without; to ask for it takes the method.
  const bucketKey = parseBucketKey(headers[BUCKET_KEY]) ?? usual
  return {
    kind,
    ...(keyId === undefined ? {} : { keyId }),
    ...(bucketKey ? { bucketKey: true } : {}),
  }
}

function parseKms(headers: Headers, usual: BucketEncryption | undefined): KmsRequest {
  const keyId = headers[KEY_ID]
  const context = parseContext(headers[CONTEXT])
  const bucketKey = parseBucketKey(headers[BUCKET_KEY]) ?? usual?.bucketKey
  return {
    kind: 'SSE-KMS',
    ...(keyId === undefined ? {} : { keyId }),
    ...(context === undefined ? {} : { context }),
    ...(bucketKey ? { bucketKey: true } : {}),
  }
}

/** base64 of a JSON object of strings; kept as it was sent, for it is bound to the key. */
function parseContext(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  if (header.length <= CONTEXT_BYTES_MAX && isContext(header)) return header
  throw invalidArgument(CONTEXT, header, 'The header was not base64 of a JSON object of strings.')
}

function isContext(header: string): boolean {
  try {
    const pairs: unknown = JSON.parse(Buffer.from(header, 'base64').toString('utf8'))
    if (typeof pairs !== 'object' || pairs === null || Array.isArray(pairs)) return false
    return Object.values(pairs).every((value) => typeof value === 'string')
  } catch {
    return false // It is no JSON.
  }
}

function parseBucketKey(header: string | undefined): boolean | undefined {
  if (header === undefined) return undefined
  const text = header.toLowerCase()
  if (text === 'true' || text === 'false') return text === 'true'
  throw invalidArgument(BUCKET_KEY, header, `${BUCKET_KEY} is true or false.`)
}

/** A key id or a context means nothing without the method that uses it. */
function refuseKmsHeaders(headers: Headers): void {
  const name = [KEY_ID, CONTEXT].find((header) => headers[header] !== undefined)
  const asksBucketKey = parseBucketKey(headers[BUCKET_KEY]) === true
  if (name === undefined && !asksBucketKey) return
  const which = name ?? BUCKET_KEY
  throw invalidArgument(
    which,
    headers[which] ?? '',
    `Server Side Encryption with AWS KMS managed key requires HTTP header ${METHOD} : aws:kms`,
  )
}

function refuseSourceKey(headers: Headers): void {
  if (headers['x-amz-copy-source'] !== undefined) return
  if (!hasCustomerKey(headers, SOURCE_CUSTOMER_KEY)) return
  const message = 'You can only specify a copy source header for copy requests.'
  throw new S3Error('InvalidArgument', { ArgumentName: 'x-amz-copy-source' }, { message })
}

function incompatible(method: string): S3Error {
  return invalidArgument(
    METHOD,
    method,
    'Server Side Encryption with Customer provided key is incompatible with the encryption method specified',
  )
}

function blocked(): S3Error {
  const message = 'The bucket does not take objects that are encrypted with customer-provided keys.'
  return new S3Error('AccessDenied', {}, { message })
}
