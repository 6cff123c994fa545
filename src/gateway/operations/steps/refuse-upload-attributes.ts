// What an object is, is said when its upload begins (pitfall 112). A later request of the upload that says it is
// refused: AWS and this store would make the object without it.
import type { Tag, Upload } from '../../../objects/object-store.ts'
import type { Headers } from '../../call.ts'
import { parseTagging } from '../../headers/tagging.ts'
import { parseUserMetadata } from '../../headers/user-metadata.ts'
import { invalidArgument } from '../../s3-error.ts'
import { refuseAttributes } from './refuse-attributes.ts'

/** Throws InvalidArgument for metadata and tags of a part, in AWS's words, and NotImplemented for the rest. */
export function refusePartAttributes(headers: Headers, upload: Upload): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!value) continue
    if (name.startsWith('x-amz-meta-'))
      throw invalidArgument(name, value, 'Metadata cannot be specified in this context.')
    if (name === 'x-amz-tagging')
      throw invalidArgument(name, value, 'The specified header is not valid in this context')
  }
  refuseUploadAttributes(headers, upload)
}

/**
 * Throws NotImplemented. What the upload has anyway may be said again: there are clients with one set of headers for all of it,
 * and MinIO takes metadata and tags with Complete.
 */
export function refuseUploadAttributes(headers: Headers, upload: Upload): void {
  const had: Headers = {
    'x-amz-storage-class': upload.storageClass,
    'x-amz-website-redirect-location': upload.headers.websiteRedirectLocation,
  }
  const metadata = parseUserMetadata(headers)
  const isNew = ([name, value]: [string, string | undefined]): boolean => {
    if (name === 'x-amz-tagging') return !isSame(parseTagging(headers), upload.tags ?? [])
    const field = name.startsWith('x-amz-meta-') ? name.slice('x-amz-meta-'.length) : undefined
    if (field !== undefined) return metadata[field] !== upload.userMetadata[field]
    return had[name] !== value
  }
  refuseAttributes(Object.fromEntries(Object.entries(headers).filter(isNew)))
}

function isSame(tags: readonly Tag[], others: readonly Tag[]): boolean {
  const values = new Map(others.map(({ key, value }) => [key, value]))
  return tags.length === others.length && tags.every(({ key, value }) => values.get(key) === value)
}
