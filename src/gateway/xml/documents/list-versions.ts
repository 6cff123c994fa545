// The answer of ListObjectVersions: versions and delete markers in one order (pitfall 89).
import {
  isDeleteMarker,
  type ListedVersion,
  type ObjectVersion,
  type ScanEntry,
  shownVersionId,
} from '../../../objects/object-store.ts'
import { encodeKey, type KeyEncoding } from '../key-encoding.ts'
import { ownerElement } from '../owner.ts'
import { container, document, element, optionalElement, xmlTime } from '../write.ts'
import { checksumNameElements, commonPrefixElement } from './list-objects.ts'

/** One page of versions, delete markers and prefixes. A marker that the client did not send is empty. */
export interface VersionListing {
  bucket: string
  prefix: string
  delimiter: string
  maxKeys: number
  encoding: KeyEncoding
  keyMarker: string
  versionIdMarker: string
  /** Where to go on; undefined when the listing is complete. Behind a prefix there is no version. */
  next: { keyMarker: string; versionIdMarker: string | undefined } | undefined
  entries: ScanEntry<ListedVersion>[]
}

/** Root ListVersionsResult; all kinds of entries in one order, the next markers only where there is more. */
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

function entryElement(entry: ScanEntry<ListedVersion>, encoding: KeyEncoding): string {
  if (entry.kind === 'prefix') return commonPrefixElement(entry.prefix, encoding)
  const { version, isLatest } = entry.record
  const common =
    element('Key', encodeKey(entry.key, encoding)) +
    element('VersionId', shownVersionId(version)) +
    element('IsLatest', isLatest) +
    element('LastModified', xmlTime(version.modifiedMs)) +
    ownerElement()
  return isDeleteMarker(version)
    ? container('DeleteMarker', common)
    : container('Version', common + objectElements(version))
}

function objectElements(version: ObjectVersion): string {
  return (
    element('ETag', `"${version.etag}"`) +
    checksumNameElements(version) +
    element('Size', version.bytes) +
    element('StorageClass', version.storageClass)
  )
}
