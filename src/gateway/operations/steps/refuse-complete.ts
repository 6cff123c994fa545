// Why an upload was not completed, in the words of S3 (pitfalls 37, 38, 106 to 108).
import { unreachable } from '../../../kit/assert.ts'
import type { CompleteRefused, ListedPart, Refused, Upload } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { parseObjectChecksum } from '../../headers/checksum-headers.ts'
import { noSuchUpload } from '../../headers/part-number.ts'
import { S3Error } from '../../s3-error.ts'
import { refusal } from './refuse.ts'

/** Every part but the last. */
const PART_BYTES_MIN = 5 * 1024 * 1024

/** The error for a Complete that failed. `parts`: as the client listed them, to name the one whose checksum is wrong. */
export function completeRefusal(
  outcome: CompleteRefused | Refused,
  call: Call,
  parts: readonly ListedPart[],
): S3Error {
  const uploadId = call.query.uploadId ?? ''
  switch (outcome.kind) {
    case 'no-upload':
      return noSuchUpload(uploadId)
    case 'invalid-part':
      return new S3Error('InvalidPart', {
        UploadId: uploadId,
        PartNumber: String(outcome.number),
        ETag: outcome.etag,
      })
    case 'part-order':
      return new S3Error('InvalidPartOrder', { UploadId: uploadId })
    case 'part-too-small':
      return new S3Error('EntityTooSmall', {
        ProposedSize: String(outcome.bytes),
        MinSizeAllowed: String(PART_BYTES_MIN),
        PartNumber: String(outcome.number),
        ETag: outcome.etag,
      })
    case 'claim-failed':
      return claimRefusal(outcome, call, parts)
    default:
      return refusal(outcome, call)
  }
}

type ClaimFailed = Extract<CompleteRefused, { kind: 'claim-failed' }>

function claimRefusal(
  { claim, wanted, actual }: ClaimFailed,
  { headers, query }: Call,
  parts: readonly ListedPart[],
): S3Error {
  switch (claim) {
    case 'bytes':
      return invalidRequest(
        `The provided 'x-amz-mp-object-size' header value ${wanted} does not match what was computed: ${actual}`,
      )
    case 'checksum': {
      // In small letters here, and here only.
      const algorithm = parseObjectChecksum(headers)?.algorithm.toLowerCase() ?? 'checksum'
      const message = `The ${algorithm} you specified did not match the calculated checksum.`
      const digests = { ExpectedDigest: wanted, CalculatedDigest: actual }
      return new S3Error('BadDigest', digests, { message })
    }
    case 'checksum-type':
      return invalidRequest(describeMismatch(wanted, actual || 'null'))
    case 'part-checksum': {
      const part = parts.find(({ checksum }) => checksum?.value === wanted)
      if (actual === '' && part?.checksum) return otherAlgorithm(part.checksum, part.number)
      const which = part ? { PartNumber: String(part.number), ETag: part.etag } : {}
      return new S3Error('InvalidPart', { UploadId: query.uploadId ?? '', ...which })
    }
    default:
      return unreachable(claim)
  }
}

/** Of the part nothing is known by that algorithm: AWS says the same as of a value that is wrong. */
function otherAlgorithm(
  { algorithm }: NonNullable<ListedPart['checksum']>,
  number: number,
): S3Error {
  const message = `The ${algorithm.toLowerCase()} you specified for part ${number} did not match what we received.`
  return new S3Error('BadDigest', {}, { message })
}

// The claim may be of the type or, without saying so, of another algorithm.
function describeMismatch(wanted: string, actual: string): string {
  if (wanted === 'FULL_OBJECT' || wanted === 'COMPOSITE')
    return `The upload was created using the ${actual} checksum mode. The complete request must use the same checksum mode.`
  return `Checksum Type mismatch occurred, expected checksum Type: ${actual.toLowerCase()}, actual checksum Type: ${wanted.toLowerCase()}`
}

function invalidRequest(message: string): S3Error {
  return new S3Error('InvalidRequest', {}, { message })
}

/**
 * AWS wants every part of a COMPOSITE upload to be listed with its checksum. Polars and smart_open do not send
 * them, so only a strict store refuses; the parts were checked when they came.
 */
export function refuseMissingChecksums(
  upload: Upload | undefined,
  parts: readonly ListedPart[],
): void {
  if (upload?.checksumType !== 'COMPOSITE') return
  const missing = parts.find(({ checksum }) => checksum === undefined)
  if (!missing) return
  const algorithm = upload.checksumAlgorithm?.toLowerCase()
  throw invalidRequest(
    `The upload was created using a ${algorithm} checksum. The complete request must include the checksum for each part. It was missing for part ${missing.number} in the request.`,
  )
}
