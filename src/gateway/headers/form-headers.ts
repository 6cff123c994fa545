// The fields of a form say of an object what headers say of one that is PUT: so they are read as headers (pitfall 115).
import { checkHeader } from '../auth/hoist.ts'
import type { FormFields, Headers } from '../call.ts'
import { readTagging } from '../xml/requests/tagging.ts'
import { encodeWords } from './encoded-words.ts'

const SAME_NAME: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-md5',
  'content-type',
  'expires',
  'if-match',
  'if-none-match',
])

/** What the signature is made of, and a session; nothing of the object. */
const OF_THE_SIGNATURE: ReadonlySet<string> = new Set([
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-signature',
])

/** Headers out of fields. Throws InvalidArgument for what can not be a header, MalformedXML for tags that are none. */
export function headersOfForm(fields: FormFields): Headers {
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value = ''] of Object.entries(fields)) {
    if (!SAME_NAME.has(name) && (!name.startsWith('x-amz-') || OF_THE_SIGNATURE.has(name))) continue
    checkHeader(name, value)
    headers[name] = name.startsWith('x-amz-meta-') ? metadataOf(value) : value
  }
  if (fields.acl) headers['x-amz-acl'] = fields.acl
  if (fields.tagging) headers['x-amz-tagging'] = tagsOf(fields.tagging)
  return headers
}

/** Text in a field is UTF-8 and no words of RFC 2047: what looks like one is text, as on AWS, and as a header it takes words to say so. */
function metadataOf(value: string): string {
  return value.includes('=?') ? encodeWords(value.trim()) : value
}

function tagsOf(xml: string): string {
  const pairs = readTagging(xml).map(({ key, value }) => [key, value])
  return pairs.map((pair) => pair.map(encodeURIComponent).join('=')).join('&')
}
