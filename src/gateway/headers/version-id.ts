// `versionId` where buckets are never versioned: every object has one version, called null (pitfalls 103, 104).
import { invalidArgument } from './list-parameters.ts'

/** Which version of a key is meant. */
export type VersionAsked = 'current' | 'null' | 'unknown'

/** `unknown` looks like a version id but can not be one of ours. */
export function parseVersionId(text: string | undefined): VersionAsked {
  if (text === undefined) return 'current'
  if (text === '') throw invalidArgument('versionId', text, 'Version id cannot be the empty string')
  if (text === 'null') return 'null'
  if (/^[A-Za-z0-9._-]{1,1024}$/.test(text)) return 'unknown'
  throw invalidArgument('versionId', text, 'Invalid version id specified')
}
