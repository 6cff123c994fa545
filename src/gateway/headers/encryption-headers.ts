// x-amz-server-side-encryption*: how a request wants its bytes encrypted, and how an answer says that they are.
import type { Bucket, Encryption, EncryptionRequest } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'

/** What the request asks for, or else what the bucket does by default; undefined: stored as it comes. */
export function parseEncryption(_headers: Headers, _bucket: Bucket): EncryptionRequest | undefined {
  return undefined
}

/** The headers that say how a version is encrypted. */
export function encryptionFields(_encryption: Encryption | undefined): Record<string, string> {
  return {}
}
