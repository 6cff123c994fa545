// ETag and checksum of a multipart object from those of its parts, without reading a byte again (s3-wire 35, 36).
import { combineCrc } from '../../digest/combine.ts'
import { digestOf } from '../../digest/digest.ts'
import type { Checksum, ChecksumAlgorithm, ChecksumType, Part } from '../records.ts'

/** MD5 of the parts' MD5s, and how many they are. */
export function multipartEtag(parts: readonly Pick<Part, 'etag'>[]): string {
  const digests = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, 'hex')))
  return `${Buffer.from(digestOf('MD5', digests)).toString('hex')}-${parts.length}`
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
  const digests: Buffer[] = []
  for (const { checksum } of parts) {
    if (checksum?.algorithm !== algorithm) return undefined
    digests.push(Buffer.from(checksum.value, 'base64'))
  }
  const value =
    type === 'COMPOSITE' ? composite(algorithm, digests) : fullObject(algorithm, digests, parts)
  return value === undefined ? undefined : { algorithm, type, value }
}

function composite(algorithm: ChecksumAlgorithm, digests: Buffer[]): string | undefined {
  if (algorithm === 'CRC64NVME') return undefined
  const digest = digestOf(algorithm, Buffer.concat(digests))
  return `${Buffer.from(digest).toString('base64')}-${digests.length}`
}

function fullObject(
  algorithm: ChecksumAlgorithm,
  digests: Buffer[],
  parts: readonly Part[],
): string | undefined {
  if (algorithm === 'SHA1' || algorithm === 'SHA256') return undefined
  let whole: Uint8Array = digests[0]!
  for (const [index, digest] of digests.entries()) {
    if (index > 0) whole = combineCrc(algorithm, whole, digest, parts[index]!.bytes)
  }
  return Buffer.from(whole).toString('base64')
}
