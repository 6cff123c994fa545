// The answers of CopyObject and UploadPartCopy: two roots around the same facts.
import type { ObjectVersion, Part } from '../../../objects/object-store.ts'
import { checksumElements, checksumValueElement } from '../checksum-elements.ts'
import { document, element, xmlTime } from '../write.ts'

/** Root CopyObjectResult; the checksum with its type. */
export function copyObjectDocument(version: ObjectVersion): string {
  return document('CopyObjectResult', factsOf(version) + checksumElements(version.checksum))
}

/** Root CopyPartResult; the checksum without its type. */
export function copyPartDocument(part: Part): string {
  return document('CopyPartResult', factsOf(part) + checksumValueElement(part.checksum))
}

function factsOf({ modifiedMs, etag }: { modifiedMs: number; etag: string }): string {
  return element('LastModified', xmlTime(modifiedMs)) + element('ETag', `"${etag}"`)
}
