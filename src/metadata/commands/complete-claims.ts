// Which checksum a completed object gets, and whether what the client says of the whole object is true.
// Declared at Create: that one. Else CRC64NVME, which parts of such uploads have whatever they were sent with. Parts that
// came before that was so may have another one: then what Complete claims, or else none.
import type { CompleteRefused } from '../contract.ts'
import {
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type ChecksumAlgorithm,
  type Part,
  type Upload,
} from '../records.ts'
import type { CommandOf } from './decision.ts'
import { defaultChecksumType, hasChecksumType, multipartChecksum } from './multipart-digest.ts'

const CHECKSUM_TYPES = ['FULL_OBJECT', 'COMPOSITE'] as const

type Claimed = CommandOf<'complete-upload'>['claimed']
type ClaimFailed = Extract<CompleteRefused, { kind: 'claim-failed' }>

/** The object's checksum, or the claim that failed. */
export function checkClaims(
  claimed: Claimed,
  upload: Upload,
  parts: readonly Part[],
): { kind: 'true'; checksum: Checksum | undefined } | ClaimFailed {
  const algorithm = chooseAlgorithm(claimed, upload, parts)
  const type = algorithm && chooseType(algorithm, claimed, upload)
  // AWS calls this the null mode: it has a checksum, but no type that a client might name.
  const namedType = !upload.checksumAlgorithm && isDefault(parts) ? undefined : type
  const checksum = algorithm && type ? multipartChecksum(algorithm, type, parts) : undefined
  return (
    checkBytes(claimed, parts) ??
    checkAlgorithm(claimed, algorithm) ??
    checkType(claimed, namedType) ??
    checkValue(claimed, checksum) ?? { kind: 'true', checksum }
  )
}

function chooseAlgorithm(
  claimed: Claimed,
  upload: Upload,
  parts: readonly Part[],
): ChecksumAlgorithm | undefined {
  if (upload.checksumAlgorithm) return upload.checksumAlgorithm
  if (isDefault(parts)) return 'CRC64NVME'
  const named = CHECKSUM_ALGORITHMS.find((name) => name === claimed.checksum?.algorithm)
  if (named) return named
  return claimed.checksumType === undefined ? undefined : commonAlgorithm(parts)
}

function isDefault(parts: readonly Part[]): boolean {
  return commonAlgorithm(parts) === 'CRC64NVME'
}

function commonAlgorithm(parts: readonly Part[]): ChecksumAlgorithm | undefined {
  const first = parts[0]?.checksum?.algorithm
  return parts.every(({ checksum }) => checksum?.algorithm === first) ? first : undefined
}

function chooseType(algorithm: ChecksumAlgorithm, claimed: Claimed, upload: Upload) {
  if (upload.checksumType) return upload.checksumType
  const type = CHECKSUM_TYPES.find((name) => name === claimed.checksumType)
  const mayChoose = !upload.checksumAlgorithm
  if (mayChoose && type && hasChecksumType(algorithm, type)) return type
  return defaultChecksumType(algorithm)
}

function checkBytes({ bytes }: Claimed, parts: readonly Part[]): ClaimFailed | undefined {
  const actual = totalBytes(parts)
  if (bytes === undefined || bytes === actual) return undefined
  return { kind: 'claim-failed', claim: 'bytes', wanted: `${bytes}`, actual: `${actual}` }
}

function checkAlgorithm(
  { checksum }: Claimed,
  algorithm: ChecksumAlgorithm | undefined,
): ClaimFailed | undefined {
  if (!checksum || checksum.algorithm === algorithm) return undefined
  return {
    kind: 'claim-failed',
    claim: 'checksum-type',
    wanted: checksum.algorithm,
    actual: algorithm ?? '',
  }
}

function checkType({ checksumType }: Claimed, type: string | undefined): ClaimFailed | undefined {
  if (checksumType === undefined || checksumType === type) return undefined
  return {
    kind: 'claim-failed',
    claim: 'checksum-type',
    wanted: checksumType,
    actual: type ?? '',
  }
}

/** A composite value may be claimed with or without its number of parts. */
function checkValue(
  { checksum }: Claimed,
  computed: Checksum | undefined,
): ClaimFailed | undefined {
  if (!checksum) return undefined
  const actual = computed?.value ?? ''
  if (checksum.value === actual) return undefined
  if (computed?.type === 'COMPOSITE' && checksum.value === actual.split('-')[0]) return undefined
  return { kind: 'claim-failed', claim: 'checksum', wanted: checksum.value, actual }
}

/** Bytes of all parts together. */
export function totalBytes(parts: readonly Part[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0)
}
