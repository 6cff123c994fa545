// The answers of ListObjects, V1 and V2: mostly alike, and different where clients look (pitfalls 80, 84, 87).
import type { ListedObject, ScanEntry } from '../../../objects/object-store.ts'
import { encodeKey, type KeyEncoding } from '../key-encoding.ts'
import { ownerElement } from '../owner.ts'
import { container, document, element, escapeXml, optionalElement, xmlTime } from '../write.ts'

/** What both have in common. */
interface Listing {
  bucket: string
  prefix: string
  delimiter: string
  maxKeys: number
  encoding: KeyEncoding
  entries: ScanEntry<ListedObject>[]
  isTruncated: boolean
}

/** One page of V1. `nextMarker` is undefined where the page is the last, or has no delimiter. */
export interface ListingV1 extends Listing {
  marker: string
  nextMarker: string | undefined
}

/** One page of V2; what the client did not send is undefined, and so is the next token of the last page. */
export interface ListingV2 extends Listing {
  withOwner: boolean
  startAfter: string | undefined
  continuationToken: string | undefined
  nextContinuationToken: string | undefined
}

/** Root ListBucketResult; all Contents, each with its owner, stand before all prefixes. Prefix is never percent-encoded. */
export function listObjectsDocument(listing: ListingV1): string {
  const { encoding } = listing
  const nextMarker =
    listing.nextMarker === undefined ? undefined : encodeKey(listing.nextMarker, encoding)
  return document(
    'ListBucketResult',
    element('Name', listing.bucket) +
      // botocore decodes every name of V1 but this one.
      element('Prefix', listing.prefix) +
      element('Marker', encodeKey(listing.marker, encoding)) +
      optionalElement('NextMarker', nextMarker) +
      pageElements(listing) +
      entryElements(listing, true),
  )
}

/** Root ListBucketResult, in the same order; KeyCount counts prefixes too, and Prefix is encoded as every other name. */
export function listObjectsV2Document(listing: ListingV2): string {
  const { encoding, startAfter } = listing
  return document(
    'ListBucketResult',
    element('Name', listing.bucket) +
      element('Prefix', encodeKey(listing.prefix, encoding)) +
      optionalElement('StartAfter', startAfter && encodeKey(startAfter, encoding)) +
      optionalElement('ContinuationToken', listing.continuationToken) +
      optionalElement('NextContinuationToken', listing.nextContinuationToken) +
      element('KeyCount', listing.entries.length) +
      pageElements(listing) +
      entryElements(listing, listing.withOwner),
  )
}

function pageElements({ maxKeys, delimiter, encoding, isTruncated }: Listing): string {
  return (
    element('MaxKeys', maxKeys) +
    (delimiter === '' ? '' : element('Delimiter', encodeKey(delimiter, encoding))) +
    optionalElement('EncodingType', encoding) +
    element('IsTruncated', isTruncated)
  )
}

function entryElements({ entries, encoding }: Listing, withOwner: boolean): string {
  const owner = withOwner ? ownerElement() : ''
  let contents = ''
  let prefixes = ''
  for (const entry of entries) {
    if (entry.kind === 'entry')
      contents += contentsElement(escapeXml(encodeKey(entry.key, encoding)), entry.record, owner)
    else prefixes += commonPrefixElement(entry.prefix, encoding)
  }
  return contents + prefixes
}

/** In one template: a page has a thousand of them, and joined from elements each costs twice as much. */
function contentsElement(key: string, listed: ListedObject, owner: string): string {
  const { modifiedMs, etag, bytes } = listed
  return `<Contents><Key>${key}</Key><LastModified>${xmlTime(modifiedMs)}</LastModified><ETag>&quot;${escapeXml(etag)}&quot;</ETag>${checksumNameElements(listed)}<Size>${bytes}</Size>${owner}<StorageClass>${escapeXml(listed.storageClass)}</StorageClass></Contents>`
}

/** Which checksum an object has, as listings show it: without the value. */
export function checksumNameElements({
  checksum,
}: {
  checksum?: ListedObject['checksum']
}): string {
  if (!checksum) return ''
  return element('ChecksumAlgorithm', checksum.algorithm) + element('ChecksumType', checksum.type)
}

/** A rolled-up prefix, as every listing shows it. */
export function commonPrefixElement(prefix: string, encoding: KeyEncoding): string {
  return container('CommonPrefixes', element('Prefix', encodeKey(prefix, encoding)))
}
