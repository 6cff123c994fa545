// The body of DeleteObjects: up to 1,000 keys, each perhaps with a version and conditions of its own.
import { childrenOf, malformed, readXml, textOf, type XmlElement } from '../read.ts'

/** One key to delete. */
export interface KeyToDelete {
  key: string
  versionId: string | undefined
  /** Conditions as they were sent. */
  etag: string | undefined
  modified: string | undefined
  size: string | undefined
}

export interface DeleteRequest {
  keys: KeyToDelete[]
  quiet: boolean
}

const KEYS_MAX = 1000

/** Keys may be full of characters that XML writes as references. */
const MARKS_MAX = 200_000

export function readDeleteRequest(text: string): DeleteRequest {
  const root = readXml(text, 'Delete', MARKS_MAX)
  const keys = childrenOf(root, 'Object').map(readKey)
  if (keys.length === 0 || keys.length > KEYS_MAX) throw malformed()
  return { keys, quiet: textOf(root, 'Quiet')?.trim() === 'true' }
}

function readKey(object: XmlElement): KeyToDelete {
  const key = textOf(object, 'Key')
  if (key === undefined || key === '') throw malformed()
  return {
    key,
    // Clients without versions send empty elements.
    versionId: textOf(object, 'VersionId') || undefined,
    etag: textOf(object, 'ETag') || undefined,
    modified: textOf(object, 'LastModifiedTime') || undefined,
    size: textOf(object, 'Size') || undefined,
  }
}
