// The answer of ListMultipartUploads.
import type { ScanEntry, Upload } from '../../../objects/object-store.ts'
import { encodeKey, type KeyEncoding } from '../key-encoding.ts'
import { ownerElement } from '../owner.ts'
import { container, document, element, optionalElement, xmlTime } from '../write.ts'
import { commonPrefixElement } from './list-objects.ts'

/** One page of uploads under way. */
export interface UploadListing {
  bucket: string
  prefix: string
  delimiter: string
  encoding: KeyEncoding
  maxUploads: number
  keyMarker: string
  uploadIdMarker: string
  truncated: boolean
  /** Where to go on; of a complete listing its last upload. */
  next: { keyMarker: string; uploadIdMarker: string }
  entries: ScanEntry<Upload>[]
}

/** Root ListMultipartUploadsResult; uploads and prefixes in one order, the next markers always there, if empty; no Prefix without one. */
export function listUploadsDocument(listing: UploadListing): string {
  const { encoding, prefix, delimiter, next } = listing
  return document(
    'ListMultipartUploadsResult',
    element('Bucket', listing.bucket) +
      element('KeyMarker', encodeKey(listing.keyMarker, encoding)) +
      element('UploadIdMarker', listing.uploadIdMarker) +
      element('NextKeyMarker', encodeKey(next.keyMarker, encoding)) +
      element('NextUploadIdMarker', next.uploadIdMarker) +
      (prefix === '' ? '' : element('Prefix', encodeKey(prefix, encoding))) +
      (delimiter === '' ? '' : element('Delimiter', encodeKey(delimiter, encoding))) +
      element('MaxUploads', listing.maxUploads) +
      optionalElement('EncodingType', encoding) +
      element('IsTruncated', listing.truncated) +
      listing.entries.map((entry) => entryElement(entry, encoding)).join(''),
  )
}

function entryElement(entry: ScanEntry<Upload>, encoding: KeyEncoding): string {
  if (entry.kind === 'prefix') return commonPrefixElement(entry.prefix, encoding)
  const { key, record } = entry
  return container(
    'Upload',
    element('Key', encodeKey(key, encoding)) +
      element('UploadId', record.uploadId) +
      ownerElement('Initiator') +
      ownerElement() +
      element('StorageClass', record.storageClass) +
      element('Initiated', xmlTime(record.initiatedMs)) +
      optionalElement('ChecksumAlgorithm', record.checksumAlgorithm) +
      optionalElement('ChecksumType', record.checksumType),
  )
}
