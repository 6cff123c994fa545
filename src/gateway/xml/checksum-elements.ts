// A checksum inside a document: `<ChecksumCRC32>` with its value, and its type where S3 shows one.
import type { Checksum } from '../../objects/object-store.ts'
import { element } from './write.ts'

/** Only the value, as parts show it. */
export function checksumValueElement(checksum: Checksum | undefined): string {
  return checksum ? element(`Checksum${checksum.algorithm}`, checksum.value) : ''
}

/** Value and type, as objects show it. */
export function checksumElements(checksum: Checksum | undefined): string {
  return checksum ? checksumValueElement(checksum) + element('ChecksumType', checksum.type) : ''
}
