// Whom the gateway knows. Today one root key; users come later behind the same interface.
import type { Identity } from '../call.ts'

/** A key that was found. */
export interface Credential {
  secretAccessKey: string
  identity: Identity
}

/** Finds keys. */
export interface Credentials {
  find(accessKeyId: string): Credential | undefined
}

/** One key, which may do everything. */
export function rootCredentials(accessKeyId: string, secretAccessKey: string): Credentials {
  const credential: Credential = { secretAccessKey, identity: { kind: 'root', accessKeyId } }
  return { find: (id) => (id === accessKeyId ? credential : undefined) }
}
