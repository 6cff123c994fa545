// `encoding-type=url` of listings: clients that ask for it decode names again, so that any key survives XML.
// Space is %20 and plus %2B, never `+`: AWS clients decode both, and s3-tests wants these (pitfall 84).

/** How names are written into a listing. */
export type KeyEncoding = 'url' | undefined

const PLAIN = /^[A-Za-z0-9\-_./~]*$/

/** The name, percent-encoded when the client asked for it; slashes stay. */
export function encodeKey(key: string, encoding: KeyEncoding): string {
  return encoding === undefined || PLAIN.test(key) ? key : percentEncode(key)
}

/** Percent-encoding of everything but unreserved characters and slashes. */
export function percentEncode(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
