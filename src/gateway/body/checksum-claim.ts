// Which checksum a client announces for its body: in a header, or in a trailer yet to come (pitfalls 31 to 33).
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'

/** `value` is base64; undefined while the trailer `header` has not come. */
export interface ChecksumClaim {
  algorithm: ChecksumAlgorithm
  header: string
  value: string | undefined
}

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

/** The checksum that the headers announce, if any. */
export function parseChecksumClaim(headers: Headers): ChecksumClaim | undefined {
  const claims = [...claimsInHeaders(headers), ...claimsInTrailers(headers)]
  if (claims.length > 1) {
    throw invalid(
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  }
  const [claim] = claims
  checkSdkAlgorithm(headers['x-amz-sdk-checksum-algorithm'], claim)
  return claim
}

function claimsInHeaders(headers: Headers): ChecksumClaim[] {
  return Object.keys(headers)
    .filter((name) => name.startsWith(PREFIX) && !ABOUT_CHECKSUMS.includes(name))
    .map((header) => {
      const algorithm = algorithmOf(header)
      const value = headers[header] ?? ''
      checkChecksumValue(header, algorithm, value)
      return { algorithm, header, value }
    })
}

function claimsInTrailers(headers: Headers): ChecksumClaim[] {
  const names = (headers['x-amz-trailer'] ?? '').toLowerCase().split(',')
  return names
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .map((header) => {
      if (!header.startsWith(PREFIX)) {
        throw invalid('The value specified in the x-amz-trailer header is not supported')
      }
      return { algorithm: algorithmOf(header), header, value: undefined }
    })
}

function algorithmOf(header: string): ChecksumAlgorithm {
  const name = header.slice(PREFIX.length).toUpperCase()
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === name)
  if (algorithm === undefined) throw new S3Error('NotImplemented', { Header: header })
  return algorithm
}

/** Throws InvalidRequest unless `value` is base64 of a digest of the right length. */
export function checkChecksumValue(
  header: string,
  algorithm: ChecksumAlgorithm,
  value: string,
): void {
  if (decodeBase64(value)?.length === DIGEST_BYTES[algorithm]) return
  throw invalid(`Value for ${header} header is invalid.`)
}

function checkSdkAlgorithm(wanted: string | undefined, claim: ChecksumClaim | undefined): void {
  if (wanted === undefined) return
  if (claim === undefined) {
    throw invalid(
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    )
  }
  if (wanted.toUpperCase() === claim.algorithm) return
  throw invalid('Value for x-amz-sdk-checksum-algorithm header is invalid.')
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidRequest', {}, { message })
}

/** The bytes of strict base64, undefined when it is none. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
