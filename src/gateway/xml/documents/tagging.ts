// The answer of GetObjectTagging; an object without tags has an empty set (pitfall 95).
import type { Tag } from '../../../objects/object-store.ts'
import { container, document, element } from '../write.ts'

/** Root Tagging; the tags in order of key. */
export function taggingDocument(tags: readonly Tag[]): string {
  // In whatever order they were set: clients compare lists.
  const sorted = tags.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  return document('Tagging', container('TagSet', sorted.map(tagElement).join('')))
}

function tagElement({ key, value }: Tag): string {
  return container('Tag', element('Key', key) + element('Value', value))
}
