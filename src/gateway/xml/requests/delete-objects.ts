// The body of DeleteObjects: up to 1,000 keys, each perhaps with a version and conditions of its own.
import { childrenOf, malformed, readXml, refuseOthers, textOf, type XmlElement } from '../read.ts'

/** One key to delete. */
export interface KeyToDelete {
  key: string
  versionId: string | undefined
  /** Conditions as they were sent. */
  etag: string | undefined
  modified: string | undefined
  size: string | undefined
}

/** What is to be deleted; `quiet`: the answer names failures only. */
export interface DeleteRequest {
  keys: KeyToDelete[]
  quiet: boolean
}

const KEYS_MAX = 1000

/** Keys may be full of characters that XML writes as references. */
const MARKS_MAX = 200_000

/** Any other element is no condition that could be passed over: a `versionId` would delete the current version. */
const KEY_ELEMENTS = ['Key', 'VersionId', 'ETag', 'LastModifiedTime', 'Size']

/** Root Delete. Throws MalformedXML for no key, for more than 1,000, for an empty one, and for elements that are not known. */
export function readDeleteRequest(text: string): DeleteRequest {
  const root = readXml(text, 'Delete', MARKS_MAX)
  refuseOthers(root, ['Object', 'Quiet'])
  const keys = childrenOf(root, 'Object').map(readKey)
  if (keys.length === 0 || keys.length > KEYS_MAX) throw malformed()
  return { keys, quiet: readQuiet(root) }
}

function readQuiet(root: XmlElement): boolean {
  const text = textOf(root, 'Quiet')?.trim().toLowerCase() || 'false'
  if (text === 'true' || text === 'false') return text === 'true'
  throw malformed()
}

function readKey(object: XmlElement): KeyToDelete {
  refuseOthers(object, KEY_ELEMENTS)
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
