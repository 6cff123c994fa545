// The answer of ListParts.
import type { Part, Upload } from '../../../objects/object-store.ts'
import { checksumValueElement } from '../checksum-elements.ts'
import { ownerElement } from '../owner.ts'
import { container, document, element, optionalElement, xmlTime } from '../write.ts'

/** One page of parts. */
export interface PartListing {
  bucket: string
  key: string
  upload: Upload
  marker: number
  maxParts: number
  parts: Part[]
  more: boolean
}

/** Root ListPartsResult; the next marker is always there, 0 on a page of nothing. Its key is never percent-encoded. */
export function listPartsDocument(listing: PartListing): string {
  const { upload, parts, more } = listing
  return document(
    'ListPartsResult',
    element('Bucket', listing.bucket) +
      element('Key', listing.key) +
      element('UploadId', upload.uploadId) +
      element('PartNumberMarker', listing.marker) +
      element('NextPartNumberMarker', parts.at(-1)?.number ?? 0) +
      element('MaxParts', listing.maxParts) +
      element('IsTruncated', more) +
      parts.map((part) => partElement(part, upload)).join('') +
      ownerElement('Initiator') +
      ownerElement() +
      element('StorageClass', upload.storageClass) +
      optionalElement('ChecksumAlgorithm', upload.checksumAlgorithm) +
      optionalElement('ChecksumType', upload.checksumType),
  )
}

/** The checksums of an upload that chose none are the store's own, and AWS does not show them. */
function partElement(part: Part, { checksumAlgorithm }: Upload): string {
  return container(
    'Part',
    element('PartNumber', part.number) +
      element('LastModified', xmlTime(part.modifiedMs)) +
      element('ETag', `"${part.etag}"`) +
      (checksumAlgorithm ? checksumValueElement(part.checksum) : '') +
      element('Size', part.bytes),
  )
}
