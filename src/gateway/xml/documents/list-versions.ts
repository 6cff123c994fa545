// The answer of ListObjectVersions where every object has one version, called null.
import type { ObjectVersion, ScanEntry } from '../../../objects/object-store.ts'
import { encodeKey, type KeyEncoding } from '../key-encoding.ts'
import { ownerElement } from '../owner.ts'
import { container, document, element, optionalElement, xmlTime } from '../write.ts'
import { commonPrefixElement } from './list-objects.ts'

export interface VersionListing {
  bucket: string
  prefix: string
  delimiter: string
  maxKeys: number
  encoding: KeyEncoding
  keyMarker: string
  versionIdMarker: string
  /** Where to go on; undefined when the listing is complete. */
  next: { keyMarker: string; versionIdMarker: string } | undefined
  entries: ScanEntry<ObjectVersion>[]
}

export function listVersionsDocument(listing: VersionListing): string {
  const { encoding, delimiter, next } = listing
  return document(
    'ListVersionsResult',
    element('Name', listing.bucket) +
      element('Prefix', encodeKey(listing.prefix, encoding)) +
      element('KeyMarker', encodeKey(listing.keyMarker, encoding)) +
      element('VersionIdMarker', listing.versionIdMarker) +
      optionalElement('NextKeyMarker', next && encodeKey(next.keyMarker, encoding)) +
      optionalElement('NextVersionIdMarker', next?.versionIdMarker) +
      element('MaxKeys', listing.maxKeys) +
      (delimiter === '' ? '' : element('Delimiter', encodeKey(delimiter, encoding))) +
      optionalElement('EncodingType', encoding) +
      element('IsTruncated', next !== undefined) +
      listing.entries.map((entry) => entryElement(entry, encoding)).join(''),
  )
}

function entryElement(entry: ScanEntry<ObjectVersion>, encoding: KeyEncoding): string {
  if (entry.kind === 'prefix') return commonPrefixElement(entry.prefix, encoding)
  const { key, record } = entry
  return container(
    'Version',
    element('Key', encodeKey(key, encoding)) +
      element('VersionId', 'null') +
      element('IsLatest', true) +
      element('LastModified', xmlTime(record.modifiedMs)) +
      element('ETag', `"${record.etag}"`) +
      element('Size', record.bytes) +
      ownerElement() +
      element('StorageClass', record.storageClass),
  )
}
