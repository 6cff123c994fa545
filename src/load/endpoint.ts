// Where a load goes and who signs: a URL that may have its own key in it, so that several stores can be measured in one run.

/** A store of S3. */
export interface Endpoint {
  /** Without credentials. */
  url: URL
  accessKeyId: string
  secretAccessKey: string
  region: string
}

/** An endpoint as it is sent to another process. */
export type PlainEndpoint = Omit<Endpoint, 'url'> & { url: string }

/** Reads `http://KEY:SECRET@host:port`; `fallback` signs where the URL has no key. Returns what is wrong with it as text. */
export function parseEndpoint(
  text: string,
  region: string,
  fallback: { accessKeyId: string; secretAccessKey: string } | undefined,
): Endpoint | string {
  if (!URL.canParse(text)) return `${text} is no URL`
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `${text} is neither http nor https`
  if (url.pathname !== '/' || url.search !== '')
    return `${text} has a path: buckets are made by the loads`
  const own = {
    accessKeyId: decodeURIComponent(url.username),
    secretAccessKey: decodeURIComponent(url.password),
  }
  url.username = ''
  url.password = ''
  const keys = own.accessKeyId === '' ? fallback : own
  if (keys === undefined) return `nothing says with which key to sign for ${url.origin}`
  return { url, ...keys, region }
}
