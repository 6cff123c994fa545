// Writes XML by joining strings: a listing of 1,000 keys is built in one pass.
// Characters that XML 1.0 forbids go out as references, as AWS does: there is no other way to name such a key.

/** The first line of every document; nothing may stand before it, not even a space. */
export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** Namespace of every document but errors. */
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'

// CR is legal but a parser would turn it into LF; tab and LF survive in text as they are.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const SPECIAL = /[&<>"\u0000-\u0008\u000b-\u001f\ufffe\uffff]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const EVERY_SPECIAL = /[&<>"\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g

const NAMED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
}

/** `text` as it may stand between tags. */
export function escapeXml(text: string): string {
  if (!SPECIAL.test(text)) return text
  return text.replace(
    EVERY_SPECIAL,
    (character) => NAMED[character] ?? `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`,
  )
}

/** `<name>text</name>`, the text escaped. */
export function element(name: string, text: string | number | boolean): string {
  return `<${name}>${typeof text === 'string' ? escapeXml(text) : text}</${name}>`
}

/** The element, or nothing when there is no text to put into it. */
export function optionalElement(name: string, text: string | number | undefined): string {
  return text === undefined ? '' : element(name, text)
}

/** `<name>content</name>`, the content being XML already. */
export function container(name: string, content: string): string {
  return `<${name}>${content}</${name}>`
}

/** A whole answer of S3: declaration and root element in the namespace of S3. */
export function document(root: string, content: string): string {
  return `${XML_DECLARATION}<${root} xmlns="${NAMESPACE}">${content}</${root}>`
}

const DAY_MS = 24 * 60 * 60 * 1000
let lastDay = Number.NaN
let lastDate = ''

/** A time as XML has it: ISO 8601, the second that Last-Modified says as well, with `.000` behind it (pitfall 54). */
export function xmlTime(ms: number): string {
  // Times of a listing are mostly of one day: its date is made once, which is a third of the work.
  const day = Math.floor(ms / DAY_MS)
  if (day !== lastDay) {
    lastDate = new Date(ms).toISOString().slice(0, -DAY_TIME.length)
    lastDay = day
  }
  const seconds = Math.floor((ms - day * DAY_MS) / 1000)
  const minutes = Math.floor(seconds / 60)
  return `${lastDate}${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}:${twoDigits(seconds % 60)}.000Z`
}

const DAY_TIME = '00:00:00.000Z'

function twoDigits(number: number): string {
  return number < 10 ? `0${number}` : `${number}`
}
