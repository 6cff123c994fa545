// The body of PutObjectTagging: all the tags that the object is to have. Whether they may be tags is checked elsewhere.
import type { Tag } from '../../../objects/object-store.ts'
import { childrenOf, malformed, readXml, refuseOthers, textOf, type XmlElement } from '../read.ts'

/** The tags as they were sent, spaces and all. A document without a TagSet has none, as on AWS. */
export function readTagging(text: string): Tag[] {
  const root = readXml(text, 'Tagging')
  refuseOthers(root, ['TagSet'])
  const [tagSet, second] = childrenOf(root, 'TagSet')
  if (second) throw malformed()
  if (!tagSet) return []
  refuseOthers(tagSet, ['Tag'])
  return childrenOf(tagSet, 'Tag').map(readTag)
}

function readTag(tag: XmlElement): Tag {
  refuseOthers(tag, ['Key', 'Value'])
  const key = textOf(tag, 'Key')
  const value = textOf(tag, 'Value')
  if (key === undefined || value === undefined) throw malformed()
  return { key, value }
}
