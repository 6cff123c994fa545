// What a request says of the object that it makes: PUT, Create, Copy and the form all say it with the same headers.
import type { Bucket, EncryptionRequest, ObjectAttributes } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { parseEncryption } from '../../headers/encryption-headers.ts'
import { parseAttributes } from '../../headers/object-attributes.ts'
import { parseLock } from '../../headers/object-lock.ts'

/** A new object without its bytes. */
export interface NewObject {
  attributes: ObjectAttributes
  encryption?: EncryptionRequest
}

/** Attributes, lock and encryption of the object that the call makes in `bucket`. */
export function describeNewObject(
  call: Pick<Call, 'headers' | 'receivedMs' | 'strict' | 'secure'>,
  bucket: Bucket,
): NewObject {
  const { headers, receivedMs } = call
  const encryption = parseEncryption(call, bucket)
  const attributes = { ...parseAttributes(headers), ...parseLock(headers, bucket, receivedMs) }
  return encryption ? { attributes, encryption } : { attributes }
}
