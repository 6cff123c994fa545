// Checksum headers: which algorithm a client chose, and which value an answer may show
// (pitfalls 35, 39, 40).
import {
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type ChecksumAlgorithm,
  type ChecksumType,
} from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'
import {
  algorithmOf,
  checkChecksumValue,
  checksumHeader,
  isChecksumName,
  severalChecksums,
} from './checksum-value.ts'

/** What the store computes when the client chose nothing (pitfall 34). */
export const DEFAULT_CHECKSUM: ChecksumAlgorithm = 'CRC64NVME'

/** How the parts of an upload are to be checked; nothing when Create said nothing. */
export interface UploadChecksum {
  checksumAlgorithm?: ChecksumAlgorithm
  checksumType?: ChecksumType
}

/** Whether a reader wants checksums. pyarrow writes `enabled`. */
export function wantsChecksum(headers: Headers): boolean {
  return headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED'
}

/** The value, and the type where S3 shows it. */
export function checksumFields(
  checksum: Checksum | undefined,
  shown: 'with-type' | 'value-only' = 'with-type',
): Record<string, string> {
  if (!checksum) return {}
  const fields: Record<string, string> = {}
  fields[checksumHeader(checksum.algorithm)] = checksum.value
  if (shown === 'with-type') fields['x-amz-checksum-type'] = checksum.type
  return fields
}

/** The algorithm whose value comes with this request, as header or as trailer. */
export function sentAlgorithm(headers: Headers): ChecksumAlgorithm | undefined {
  const trailer = headers['x-amz-trailer']?.toLowerCase() ?? ''
  return CHECKSUM_ALGORITHMS.find((algorithm) => {
    const name = checksumHeader(algorithm)
    return headers[name] !== undefined || trailer.split(',').some((item) => item.trim() === name)
  })
}

/** A checksum header whose value is of the object, not of the body: Complete carries one, perhaps with `-N` behind it. */
export function parseObjectChecksum(
  headers: Headers,
): { algorithm: ChecksumAlgorithm; value: string } | undefined {
  const sent = Object.keys(headers).filter(isChecksumName)
  const [name] = sent
  if (name === undefined) return undefined
  if (sent.length > 1) throw severalChecksums()
  const algorithm = algorithmOf(name)
  const value = headers[name] ?? ''
  checkChecksumValue(name, algorithm, value.replace(/-\d{1,5}$/, ''))
  return { algorithm, value }
}

/** x-amz-checksum-algorithm of Create and Copy. */
export function parseChecksumAlgorithm(headers: Headers): ChecksumAlgorithm | undefined {
  const sent = headers['x-amz-checksum-algorithm']
  if (!sent) return undefined
  const algorithm = CHECKSUM_ALGORITHMS.find((name) => name === sent.toUpperCase())
  if (algorithm) return algorithm
  const valid = CHECKSUM_ALGORITHMS.join(', ')
  throw refused(
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${valid}]`,
  )
}

/** Algorithm and type of a new upload, when they go together (pitfall 35). */
export function parseUploadChecksum(headers: Headers): UploadChecksum {
  const checksumAlgorithm = parseChecksumAlgorithm(headers)
  const type = parseChecksumType(headers)
  if (!checksumAlgorithm) {
    if (type === undefined) return {}
    throw refused(
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    )
  }
  const checksumType = type ?? (checksumAlgorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE')
  if (!typesOf(checksumAlgorithm).includes(checksumType))
    throw refused(
      `The ${checksumType} checksum type cannot be used with the ${checksumAlgorithm.toLowerCase()} checksum algorithm.`,
    )
  return { checksumAlgorithm, checksumType }
}

/** x-amz-checksum-type. */
export function parseChecksumType(headers: Headers): ChecksumType | undefined {
  const sent = headers['x-amz-checksum-type']
  if (!sent) return undefined
  const type = sent.toUpperCase()
  if (type === 'FULL_OBJECT' || type === 'COMPOSITE') return type
  throw refused('Value for x-amz-checksum-type header is invalid.')
}

function typesOf(algorithm: ChecksumAlgorithm): readonly ChecksumType[] {
  switch (algorithm) {
    case 'CRC64NVME':
      return ['FULL_OBJECT']
    case 'CRC32':
    case 'CRC32C':
      return ['COMPOSITE', 'FULL_OBJECT']
    default:
      return ['COMPOSITE']
  }
}

function refused(message: string): S3Error {
  return new S3Error('InvalidRequest', {}, { message })
}
