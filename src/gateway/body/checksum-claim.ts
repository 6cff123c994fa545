// Which checksum a client announces for its body: in a header, or in a trailer yet to come (pitfalls 31 to 33).
import type { ChecksumAlgorithm } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import {
  algorithmOf,
  checkChecksumValue,
  isChecksumName,
  knownAlgorithm,
  severalChecksums,
} from '../headers/checksum-value.ts'
import { S3Error } from '../s3-error.ts'

/** `value` is base64; undefined while the trailer `header` has not come. */
export interface ChecksumClaim {
  algorithm: ChecksumAlgorithm
  header: string
  value: string | undefined
}

/** The checksum that the headers announce, if any. */
export function parseChecksumClaim(headers: Headers): ChecksumClaim | undefined {
  const claims = [...claimsInHeaders(headers), ...claimsInTrailers(headers)]
  if (claims.length > 1) throw severalChecksums()
  const [claim] = claims
  checkSdkAlgorithm(headers['x-amz-sdk-checksum-algorithm'], claim)
  return claim
}

function claimsInHeaders(headers: Headers): ChecksumClaim[] {
  const names = Object.keys(headers).filter(isChecksumName)
  if (names.length > 1) throw severalChecksums()
  return names.map((header) => {
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
      const algorithm = knownAlgorithm(header)
      if (algorithm === undefined)
        throw invalid('The value specified in the x-amz-trailer header is not supported')
      return { algorithm, header, value: undefined }
    })
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
