// What the authenticators look at, and what they conclude.
import type { Address } from '../address.ts'
import type { Headers, Identity } from '../call.ts'
import type { Credentials } from './credentials.ts'
import type { Payload } from './payload.ts'
import type { SigningKeys } from './signing-keys.ts'

/** The head of a request as the signature covers it. */
export interface AuthRequest {
  method: string
  address: Address
  /** Decoded, with what a presigned URL carries as parameters. */
  headers: Headers
  /** As sent, bytes as Latin-1, duplicates joined by a comma. */
  rawHeaders: Headers
}

/** What authentication needs to know. */
export interface AuthParts {
  credentials: Credentials
  keys: SigningKeys
  /** Any region in the scope is accepted unless `enforced`. */
  region: { name: string; enforced: boolean }
  nowMs: number
}

/** Who asks, and how the body is protected. */
export interface Authenticated {
  identity: Identity
  payload: Payload
}
