// Shapes replies: XML documents, empty answers, and the headers that describe an object.
import type { ObjectVersion } from '../objects/object-store.ts'
import type { Reply } from './call.ts'
import { httpDate } from './headers/dates.ts'
import { systemHeaderFields } from './headers/system-headers.ts'
import { userMetadataHeaders } from './headers/user-metadata.ts'

/** 200 with a document. */
export function xmlReply(text: string, headers: Record<string, string> = {}): Reply {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', ...headers },
    body: { kind: 'text', text },
  }
}

/** 204: done, and nothing to say (pitfall 57). */
export function noContent(): Reply {
  return { status: 204 }
}

/** Headers of GET and HEAD that describe the object, whatever part of it is sent. */
export function describeObject(version: ObjectVersion): Record<string, string> {
  return {
    ...userMetadataHeaders(version.userMetadata),
    ...systemHeaderFields(version.headers),
    ...identifyVersion(version),
    'accept-ranges': 'bytes',
    ...(version.storageClass === 'STANDARD' ? {} : { 'x-amz-storage-class': version.storageClass }),
  }
}

/** The headers of a 304 (pitfall 61). */
export function describeUnmodified(version: ObjectVersion): Record<string, string> {
  const { 'cache-control': cacheControl, expires } = systemHeaderFields(version.headers)
  return {
    ...identifyVersion(version),
    ...(cacheControl === undefined ? {} : { 'cache-control': cacheControl }),
    ...(expires === undefined ? {} : { expires }),
  }
}

/** An ETag as headers and documents have it. */
export function quoteEtag(etag: string): string {
  return `"${etag}"`
}

function identifyVersion(version: ObjectVersion): Record<string, string> {
  return { etag: quoteEtag(version.etag), 'last-modified': httpDate(version.modifiedMs) }
}
