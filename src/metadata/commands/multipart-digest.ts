// ETag and checksum of a multipart object from those of its parts, without reading a byte again (pitfalls 35, 36).
import { type CrcName, combineCrc } from '../../digest/combine.ts'
import { digestOf } from '../../digest/digest.ts'
import type { Checksum, ChecksumAlgorithm, ChecksumType, Part } from '../records.ts'

/** MD5 of the parts' MD5s, and how many they are. */
export function multipartEtag(parts: readonly Pick<Part, 'etag'>[]): string {
  const digests = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, 'hex')))
  return `${Buffer.from(digestOf('MD5', digests)).toString('hex')}-${parts.length}`
}

/** Whether an algorithm can have that type in a multipart upload: only CRCs know the whole from its parts. */
export function hasChecksumType(algorithm: ChecksumAlgorithm, type: ChecksumType): boolean {
  return type === 'FULL_OBJECT' ? isCrc(algorithm) : algorithm !== 'CRC64NVME'
}

/** The type that an algorithm has in a multipart upload when nobody says which. */
export function defaultChecksumType(algorithm: ChecksumAlgorithm): ChecksumType {
  return algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE'
}

/**
 * The checksum of the object that `parts` make up; undefined when it can not be known: a part came without a
 * checksum of this algorithm, or the algorithm has no such type.
 */
export function multipartChecksum(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: readonly Part[],
): Checksum | undefined {
  if (!hasChecksumType(algorithm, type)) return undefined
  const digests: Buffer[] = []
  for (const { checksum } of parts) {
    if (checksum?.algorithm !== algorithm) return undefined
    digests.push(Buffer.from(checksum.value, 'base64'))
  }
  const value =
    isCrc(algorithm) && type === 'FULL_OBJECT'
      ? fullObject(algorithm, digests, parts)
      : composite(algorithm, digests)
  return { algorithm, type, value }
}

function isCrc(algorithm: ChecksumAlgorithm): algorithm is CrcName {
  return algorithm === 'CRC32' || algorithm === 'CRC32C' || algorithm === 'CRC64NVME'
}

function composite(algorithm: ChecksumAlgorithm, digests: Buffer[]): string {
  const digest = digestOf(algorithm, Buffer.concat(digests))
  return `${Buffer.from(digest).toString('base64')}-${digests.length}`
}

function fullObject(algorithm: CrcName, digests: Buffer[], parts: readonly Part[]): string {
  let whole: Uint8Array = digests[0]!
  for (const [index, digest] of digests.entries()) {
    if (index > 0) whole = combineCrc(algorithm, whole, digest, parts[index]!.bytes)
  }
  return Buffer.from(whole).toString('base64')
}
