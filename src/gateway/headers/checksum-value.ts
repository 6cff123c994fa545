// The headers that carry checksums, by name, and what their values may be (pitfall 33).
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from '../../objects/object-store.ts'
import { S3Error } from '../s3-error.ts'

const PREFIX = 'x-amz-checksum-'

/** Headers that begin like a checksum and are none. */
const ABOUT_CHECKSUMS = [`${PREFIX}algorithm`, `${PREFIX}mode`, `${PREFIX}type`]

const DIGEST_BYTES: Record<ChecksumAlgorithm, number> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
  SHA512: 64,
  MD5: 16,
  XXHASH64: 8,
  XXHASH3: 8,
  XXHASH128: 16,
}

/** The header or trailer of an algorithm. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return PREFIX + algorithm.toLowerCase()
}

const ALGORITHMS: ReadonlyMap<string, ChecksumAlgorithm> = new Map(
  CHECKSUM_ALGORITHMS.map((algorithm) => [checksumHeader(algorithm), algorithm]),
)

/** Whether a header or trailer of this name carries a checksum. */
export function isChecksumName(name: string): boolean {
  return name.startsWith(PREFIX) && !ABOUT_CHECKSUMS.includes(name)
}

/** The algorithm of a header that carries a checksum. Throws InvalidRequest for one that nobody knows. */
export function algorithmOf(header: string): ChecksumAlgorithm {
  const algorithm = knownAlgorithm(header)
  if (algorithm !== undefined) return algorithm
  const message = 'The algorithm type you specified in x-amz-checksum- header is invalid.'
  throw new S3Error('InvalidRequest', {}, { message })
}

/** The same of a header or a trailer that may be anything: undefined where it carries no checksum that is known. */
export function knownAlgorithm(name: string): ChecksumAlgorithm | undefined {
  return ALGORITHMS.get(name)
}

/** Throws InvalidRequest unless `value` is base64 of a digest of the right length. */
export function checkChecksumValue(
  header: string,
  algorithm: ChecksumAlgorithm,
  value: string,
  place: 'header' | 'trailing header' = 'header',
): void {
  if (decodeBase64(value)?.length === DIGEST_BYTES[algorithm]) return
  throw new S3Error('InvalidRequest', {}, { message: `Value for ${header} ${place} is invalid.` })
}

/** The refusal of a second checksum (pitfall 32). */
export function severalChecksums(): S3Error {
  const message =
    'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.'
  return new S3Error('InvalidRequest', {}, { message })
}

/** The bytes of strict base64, undefined when it is none. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
