// The three headers of SSE-C. Nothing that is thrown here repeats the key (pitfall 119).
import { digestOf } from '../../digest/digest.ts'
import type { CustomerKey } from '../../objects/object-store.ts'
import type { Call, Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'

/** What the names begin with, for the object of the request and for the source of a copy. */
export const CUSTOMER_KEY = 'x-amz-server-side-encryption-customer'
/** The same for the source of a copy, which may have another key than its target. */
export const SOURCE_CUSTOMER_KEY = 'x-amz-copy-source-server-side-encryption-customer'

const ENCRYPTION = 'x-amz-server-side-encryption'

const KEY_BYTES = 32

/** What is asked of a request that carries a key. */
export type KeyCarrier = Pick<Call, 'headers' | 'strict' | 'secure'>

/** Whether any of the three is there. */
export function hasCustomerKey(headers: Headers, prefix: string): boolean {
  for (const name in headers) if (name.startsWith(prefix)) return true
  return false
}

/** The key of the request; undefined when it has none of the three headers, an error when they do not fit. */
export function parseCustomerKey(
  { headers, strict, secure }: KeyCarrier,
  prefix = CUSTOMER_KEY,
): CustomerKey | undefined {
  if (!hasCustomerKey(headers, prefix)) return undefined
  if (strict && !secure) throw insecure()
  const algorithm = headers[`${prefix}-algorithm`]
  const encoded = headers[`${prefix}-key`]
  const keyMd5 = headers[`${prefix}-key-md5`]
  if (!algorithm) throw lacking(prefix, 'algorithm', 'a valid encryption algorithm')
  if (!encoded) throw lacking(prefix, 'key', 'an appropriate secret key')
  if (!keyMd5) throw lacking(prefix, 'key-md5', 'the client calculated MD5 of the secret key')
  if (algorithm !== 'AES256') {
    const elements = { ArgumentName: ENCRYPTION, ArgumentValue: algorithm }
    throw new S3Error('InvalidEncryptionAlgorithmError', elements)
  }
  const key = Buffer.from(encoded, 'base64')
  if (key.length !== KEY_BYTES || key.toString('base64') !== encoded)
    throw wrong(prefix, 'key', 'The secret key was invalid for the specified algorithm.')
  if (md5Of(key) !== keyMd5) {
    const message = 'The calculated MD5 hash of the key did not match the hash that was provided.'
    throw wrong(prefix, 'key-md5', message)
  }
  return { key, keyMd5 }
}

function md5Of(key: Uint8Array): string {
  return Buffer.from(digestOf('MD5', key)).toString('base64')
}

function lacking(prefix: string, header: string, what: string): S3Error {
  return wrong(
    prefix,
    header,
    `Requests specifying Server Side Encryption with Customer provided keys must provide ${what}.`,
  )
}

/** AWS has one name for all three of the request's own. */
function wrong(prefix: string, header: string, message: string): S3Error {
  const name = prefix === CUSTOMER_KEY ? ENCRYPTION : `${prefix}-${header}`
  return new S3Error('InvalidArgument', { ArgumentName: name }, { message })
}

function insecure(): S3Error {
  const message =
    'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.'
  return new S3Error('InvalidRequest', {}, { message })
}
