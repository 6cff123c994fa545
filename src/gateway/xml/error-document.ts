// The body of an S3 error: no namespace, elements in the order of the catalogue's page (pitfall 56).
import type { S3Error } from '../s3-error.ts'
import { element, XML_DECLARATION } from './write.ts'

/** What the request adds to every error. */
export interface ErrorContext {
  requestId: string
  hostId: string
  /** Path of bucket or object, as the client named it. */
  resource: string
}

/** The document for `error`. */
export function errorDocument(error: S3Error, context: ErrorContext): string {
  const extra = Object.entries(error.elements).map(([name, text]) => element(name, text))
  return (
    `${XML_DECLARATION}<Error>` +
    element('Code', error.code) +
    element('Message', error.message) +
    extra.join('') +
    element('Resource', context.resource) +
    element('RequestId', context.requestId) +
    element('HostId', context.hostId) +
    '</Error>'
  )
}
