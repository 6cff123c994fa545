// The list of parts that a client sends with Complete, against the parts that were uploaded (pitfalls 106, 107).
import { digestOf } from '../../digest/digest.ts'
import { mebibytes } from '../../kit/bytes.ts'
import type { CompleteRefused, ListedPart } from '../contract.ts'
import type { Part, Upload } from '../records.ts'
import type { CommandOf } from './decision.ts'

/** All parts but the last one listed are at least this long. */
const PART_BYTES_MIN = mebibytes(5)

/** The listed parts as they were uploaded, or why the list is wrong. */
export function checkListing(
  listed: readonly ListedPart[],
  { upload, uploaded }: { upload: Upload; uploaded: readonly Part[] },
): { kind: 'parts'; parts: Part[] } | CompleteRefused {
  if (!isAscending(listed)) return { kind: 'part-order' }
  const byNumber = new Map(uploaded.map((part) => [part.number, part]))
  const parts: Part[] = []
  for (const claim of listed) {
    const part = byNumber.get(claim.number)
    if (part?.etag !== claim.etag) {
      return { kind: 'invalid-part', number: claim.number, etag: claim.etag }
    }
    const refused = checkPartChecksum(claim, part, upload)
    if (refused) return refused
    parts.push(part)
  }
  return findTooSmall(parts) ?? { kind: 'parts', parts }
}

/** What tells one Complete of an upload from another: bucket, key, part numbers and ETags. */
export function listingDigest(command: CommandOf<'complete-upload'>): Uint8Array {
  const { bucket, key, parts } = command
  const lines = parts.map(({ number, etag }) => `${number} ${etag}`)
  return digestOf('SHA256', Buffer.from([bucket.id, ...lines, key].join('\n')))
}

function isAscending(listed: readonly ListedPart[]): boolean {
  return listed.every((part, index) => index === 0 || part.number > listed[index - 1]!.number)
}

/**
 * Clients need not repeat the checksum of a part, and some do not; if they do, it is the stored one. Where the upload
 * chose no algorithm they repeat what they sent, of which nothing is stored: it was compared when the part came.
 */
function checkPartChecksum(
  { checksum }: ListedPart,
  part: Part,
  { checksumAlgorithm }: Upload,
): CompleteRefused | undefined {
  if (!checksum) return undefined
  const isStored = part.checksum?.algorithm === checksum.algorithm
  if (!checksumAlgorithm && !isStored) return undefined
  const stored = isStored ? (part.checksum?.value ?? '') : ''
  if (stored === checksum.value) return undefined
  return {
    kind: 'claim-failed',
    claim: 'part-checksum',
    wanted: checksum.value,
    actual: stored,
  }
}

function findTooSmall(parts: readonly Part[]): CompleteRefused | undefined {
  const small = parts.slice(0, -1).find(({ bytes }) => bytes < PART_BYTES_MIN)
  if (!small) return undefined
  return { kind: 'part-too-small', number: small.number, bytes: small.bytes, etag: small.etag }
}
