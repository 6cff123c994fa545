// The answer of GetObjectAttributes: only what was asked for.
import type { Checksum, ObjectVersion, Part } from '../../../objects/object-store.ts'
import { checksumElements, checksumValueElement } from '../checksum-elements.ts'
import { container, document, element } from '../write.ts'

/** What may be asked for. */
export const ATTRIBUTE_NAMES = [
  'ETag',
  'Checksum',
  'ObjectParts',
  'StorageClass',
  'ObjectSize',
] as const
/** A name as x-amz-object-attributes has it. */
export type AttributeName = (typeof ATTRIBUTE_NAMES)[number]

/** The parts of an object. */
export interface ObjectParts {
  /** Of all of them. */
  count: number
  /** Those that are listed; undefined where S3 lists none. */
  page: PartsPage | undefined
}

/** One page of them. */
export interface PartsPage {
  marker: number
  maxParts: number
  parts: Part[]
  more: boolean
}

/** Root GetObjectAttributesResponse, in the order of ATTRIBUTE_NAMES; the ETag without quotes, no empty elements. */
export function attributesDocument(
  version: ObjectVersion,
  wanted: ReadonlySet<AttributeName>,
  parts: ObjectParts | undefined,
): string {
  const { checksum } = version
  const contents: { [Name in AttributeName]: string } = {
    ETag: element('ETag', version.etag),
    Checksum: checksum ? container('Checksum', checksumElements(withoutCount(checksum))) : '',
    ObjectParts: parts ? partsElement(parts) : '',
    StorageClass: element('StorageClass', version.storageClass),
    ObjectSize: element('ObjectSize', version.bytes),
  }
  const shown = ATTRIBUTE_NAMES.filter((name) => wanted.has(name))
  return document('GetObjectAttributesResponse', shown.map((name) => contents[name]).join(''))
}

/** A COMPOSITE value is shown without the number of its parts here, and only here (pitfall 36). */
function withoutCount(checksum: Checksum): Checksum {
  return { ...checksum, value: checksum.value.replace(/-\d+$/, '') }
}

/** The number of parts is always told, the parts only when they have checksums (pitfall 114). */
function partsElement({ count, page }: ObjectParts): string {
  return container('ObjectParts', (page ? pageElements(page) : '') + element('PartsCount', count))
}

function pageElements({ marker, maxParts, parts, more }: PartsPage): string {
  return (
    element('IsTruncated', more) +
    element('MaxParts', maxParts) +
    element('NextPartNumberMarker', parts.at(-1)?.number ?? 0) +
    element('PartNumberMarker', marker) +
    parts
      .filter(({ checksum }) => checksum)
      .map(partElement)
      .join('')
  )
}

function partElement({ number, bytes, checksum }: Part): string {
  return container(
    'Part',
    checksumValueElement(checksum) + element('PartNumber', number) + element('Size', bytes),
  )
}
