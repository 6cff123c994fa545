// The answer to a form that asks for 201. Like errors it has no namespace.
import { container, element, XML_DECLARATION } from '../write.ts'

/** What was posted. */
export interface Posted {
  bucket: string
  key: string
  etag: string
}

/** Root PostResponse; `location` is the URL of the object, its key percent-encoded already. */
export function postResponseDocument(posted: Posted & { location: string }): string {
  const { location, bucket, key, etag } = posted
  const content =
    element('Location', location) +
    element('Bucket', bucket) +
    element('Key', key) +
    element('ETag', `"${etag}"`)
  return XML_DECLARATION + container('PostResponse', content)
}
