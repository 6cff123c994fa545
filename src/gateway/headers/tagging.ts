// Tags: what may be one, and the header that gives them to a new object as a query string (pitfall 95).
import type { Tag } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'

const TAGS_MAX = 10
// Counted as S3 counts: units of UTF-16, which is what `length` says.
const KEY_LENGTH_MAX = 128
const VALUE_LENGTH_MAX = 256

/** The tags of the header; an empty header and none are the same. */
export function parseTagging(headers: Headers): Tag[] {
  const header = headers['x-amz-tagging'] ?? ''
  const tags = header
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => parsePair(pair, header))
  if (tags.some(({ key }) => key === '') || repeatedKey(tags) !== undefined)
    throw malformedHeader(header)
  checkTags(tags)
  return tags
}

/** Throws when the tags are too many, not unique, or not what S3 lets a tag be. */
export function checkTags(tags: readonly Tag[]): void {
  if (tags.length > TAGS_MAX)
    throw new S3Error(
      'BadRequest',
      {},
      { message: `Object tags cannot be greater than ${TAGS_MAX}` },
    )
  for (const tag of tags) checkTag(tag)
  const repeated = repeatedKey(tags)
  if (repeated !== undefined)
    throw invalidTag({ TagKey: repeated }, 'Cannot provide multiple Tags with the same key')
}

function checkTag({ key, value }: Tag): void {
  if (key === '' || key.length > KEY_LENGTH_MAX || !isTagText(key))
    throw invalidTag({ TagKey: key }, 'The TagKey you have provided is invalid')
  if (/^aws:/i.test(key))
    throw invalidTag({ TagKey: key }, 'Your TagKey cannot be prefixed with aws:')
  if (value.length > VALUE_LENGTH_MAX || !isTagText(value))
    throw invalidTag({ TagKey: key, TagValue: value }, 'The TagValue you have provided is invalid')
}

/** Letters, digits and spaces of any script, and a few signs. */
function isTagText(text: string): boolean {
  return /^[\p{L}\p{N}\p{Z}+\-=._:/@]*$/u.test(text)
}

function repeatedKey(tags: readonly Tag[]): string | undefined {
  // Of a header they may be thousands, which are not counted yet.
  const keys = new Set<string>()
  for (const { key } of tags) {
    if (keys.has(key)) return key
    keys.add(key)
  }
  return undefined
}

// `key` alone is a tag with an empty value.
function parsePair(pair: string, header: string): Tag {
  const [key = '', value = '', ...others] = pair.split('=')
  if (others.length > 0) throw malformedHeader(header)
  return { key: decode(key, header), value: decode(value, header) }
}

// What no tag may have is no tag that is wrong when it stands here as it is, but a header that nobody encoded:
// `key1=val1,key2=val2` is meant to be two.
function decode(text: string, header: string): string {
  if (!isTagText(text.replaceAll('%', ''))) throw malformedHeader(header)
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    throw malformedHeader(header, cause)
  }
}

function malformedHeader(header: string, cause?: unknown): S3Error {
  const message =
    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
  const elements = { ArgumentName: 'x-amz-tagging', ArgumentValue: header }
  return new S3Error('InvalidArgument', elements, { message, cause })
}

function invalidTag(elements: Record<string, string>, message: string): S3Error {
  return new S3Error('InvalidTag', elements, { message })
}
