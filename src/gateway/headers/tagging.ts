// x-amz-tagging: the tags of a new object, as a query string (pitfall 95).
import type { Tag } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'

/** The tags of the header; an empty header and none are the same. */
export function parseTagging(_headers: Headers): Tag[] {
  return []
}
