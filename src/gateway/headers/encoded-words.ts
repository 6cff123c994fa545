// RFC 2047: how a header carries text that is not ASCII, in words like `=?UTF-8?B?w7w=?=` (pitfall 93).

const WORD = /=\?([\w-]{1,40})\?([BQ])\?([!->@-~]*)\?=/gi
/** White space between two words belongs to neither. */
const GAP = /(=\?[\w-]+\?[BQ]\?[!->@-~]*\?=)\s+(?==\?[\w-]+\?[BQ]\?[!->@-~]*\?=)/gi

/** A word is at most 75 characters long: so many bytes fit as base64 between `=?UTF-8?B?` and `?=`. */
const WORD_BYTES_MAX = 45

/** The text with its words decoded; what is no word, is broken, or in no known charset, stays as it is. */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text
  return text
    .replace(GAP, '$1')
    .replace(WORD, (word, charset: string, encoding: string, content: string) => {
      const bytes = encoding.toUpperCase() === 'B' ? fromBase64(content) : unquote(content)
      return (bytes && decodeBytes(bytes, charset)) ?? word
    })
}

/** Any text in words, each of which can be decoded by itself. */
export function encodeWords(text: string): string {
  const words: string[] = []
  let word = ''
  let bytes = 0
  for (const character of text) {
    const more = Buffer.byteLength(character)
    if (bytes + more > WORD_BYTES_MAX) {
      words.push(word)
      word = ''
      bytes = 0
    }
    word += character
    bytes += more
  }
  words.push(word)
  return words.map((part) => `=?UTF-8?B?${Buffer.from(part).toString('base64')}?=`).join(' ')
}

/** Undefined unless the content is base64, its padding perhaps left out. */
function fromBase64(content: string): Uint8Array | undefined {
  const bytes = Buffer.from(content, 'base64')
  return withoutPadding(bytes.toString('base64')) === withoutPadding(content) ? bytes : undefined
}

function withoutPadding(base64: string): string {
  return base64.replace(/={1,2}$/, '')
}

function unquote(content: string): Uint8Array {
  const latin1 = content
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(latin1, 'latin1')
}

function decodeBytes(bytes: Uint8Array, charset: string): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined // A charset that nobody knows, or bytes that are not of it.
  }
}
