// What a request says of the object that it makes: PUT, Create, Copy and the form all say it with the same headers.
import type { Bucket, EncryptionRequest, ObjectAttributes } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { parseEncryption } from '../../headers/encryption-headers.ts'
import { parseAttributes } from '../../headers/object-attributes.ts'
import { type Lock, parseAskedLock, parseLock } from '../../headers/object-lock.ts'

/** A new object without its bytes. */
export interface NewObject {
  attributes: ObjectAttributes
  encryption?: EncryptionRequest
}

type Described = Pick<Call, 'headers' | 'receivedMs' | 'strict' | 'secure'>

/** Attributes, lock and encryption of the object that the call makes in `bucket`. */
export function describeNewObject(call: Described, bucket: Bucket): NewObject {
  return describe(call, bucket, parseLock(call.headers, bucket, call.receivedMs))
}

/** The same for an upload, which gets the retention that its bucket gives by default when it is completed. */
export function describeNewUpload(call: Described, bucket: Bucket): NewObject {
  return describe(call, bucket, parseAskedLock(call.headers, bucket, call.receivedMs))
}

function describe(call: Described, bucket: Bucket, lock: Lock): NewObject {
  const encryption = parseEncryption(call, bucket)
  const attributes = Object.assign(parseAttributes(call.headers), lock)
  return encryption ? { attributes, encryption } : { attributes }
}
