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

/** Reads `http://KEY:SECRET@host:port`; `fallback` signs where the URL has no key. Returns what is wrong with it as text, never with the secret. */
export function parseEndpoint(
  text: string,
  region: string,
  fallback: { accessKeyId: string; secretAccessKey: string } | undefined,
): Endpoint | string {
  // A secret that is not encoded may be anywhere before the last `@`, also where the URL has its host or path.
  const name = text.slice(text.lastIndexOf('@') + 1)
  if (!URL.canParse(text)) return `${name} is no URL`
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `${name} is neither http nor https`
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    return `${name} has a path: buckets are made by the loads, and / ? # in a key are written %2F %3F %23`
  const own = readKeys(url)
  if (own === undefined) return `a % in the key for ${url.host} is written %25`
  url.username = ''
  url.password = ''
  const keys = own.accessKeyId === '' ? fallback : own
  if (keys === undefined) return `nothing says with which key to sign for ${url.origin}`
  return { url, ...keys, region }
}

/** Undefined where they are not encoded as in a URL. */
function readKeys({
  username,
  password,
}: URL): Pick<Endpoint, 'accessKeyId' | 'secretAccessKey'> | undefined {
  try {
    return {
      accessKeyId: decodeURIComponent(username),
      secretAccessKey: decodeURIComponent(password),
    }
  } catch {
    return undefined
  }
}
