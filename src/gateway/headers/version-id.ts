// `versionId`: which version of a key a request means (pitfalls 103 to 105).
import { invalidArgument } from '../s3-error.ts'

/** `named` is an id as the store makes them, or `null`; `unknown` looks like an id, but the store never made it. */
export type VersionAsked =
  | { kind: 'current' }
  | { kind: 'named'; versionId: string }
  | { kind: 'unknown'; versionId: string }

/** 16 bytes in 26 digits of base 32: the last one has but three bits. */
const OWN_ID = /^[0-9a-v]{25}[048cgkos]$/
/** What any store may use for an id: enough of it to be nobody's word, at most 1,024 bytes. */
const ANY_ID = /^[A-Za-z0-9._-]{26,1024}$/

/** Throws InvalidArgument when the text can be nobody's id. */
export function parseVersionId(text: string | undefined, parameter = 'versionId'): VersionAsked {
  if (text === undefined) return { kind: 'current' }
  if (text === '') throw invalidArgument(parameter, text, 'Version id cannot be the empty string')
  if (text === 'null' || OWN_ID.test(text)) return { kind: 'named', versionId: text }
  if (ANY_ID.test(text)) return { kind: 'unknown', versionId: text }
  throw invalidArgument(parameter, text, 'Invalid version id specified')
}
