// The body of CompleteMultipartUpload: the parts that make the object (pitfall 107).
import { CHECKSUM_ALGORITHMS, type ListedPart, PARTS_MAX } from '../../../objects/object-store.ts'
import { decodeBase64 } from '../../headers/checksum-value.ts'
import { S3Error } from '../../s3-error.ts'
import { childrenOf, malformed, readXml, refuseOthers, textOf, type XmlElement } from '../read.ts'

/** The second is how the AWS SDK for JavaScript called it from 3.3 to 3.17; AWS took it (aws-sdk-js-v3 issue 2139). */
const ROOT_NAMES = ['CompleteMultipartUpload', 'CompletedMultipartUpload']

/** Eight tags and the two quotes of the ETag, with some to spare. */
const MARKS_PER_PART = 16

/**
 * As S3 knows them, and two that ListParts tells of each part: minio-java has one class for both documents and sends what
 * it was told back. They ask for nothing; any other element might, such as a checksum in another spelling.
 */
const PART_ELEMENTS = [
  ...['PartNumber', 'ETag', 'LastModified', 'Size'],
  ...CHECKSUM_ALGORITHMS.map((name) => `Checksum${name}`),
]

/**
 * The parts in the order they were listed; whether the order is right is decided with the upload. `strict`: a list of none
 * is called as AWS calls it.
 */
export function readListedParts(text: string, strict = false): ListedPart[] {
  if (strict && text.trim() === '') throw noParts()
  const root = readXml(text, ROOT_NAMES, PARTS_MAX * MARKS_PER_PART)
  refuseOthers(root, ['Part'])
  const parts = childrenOf(root, 'Part').map(readPart)
  if (strict && parts.length === 0) throw noParts()
  if (parts.length === 0 || parts.length > PARTS_MAX) throw malformed()
  return parts
}

function noParts(): S3Error {
  return new S3Error('InvalidRequest', {}, { message: 'You must specify at least one part' })
}

function readPart(part: XmlElement): ListedPart {
  refuseOthers(part, PART_ELEMENTS)
  const etag = textOf(part, 'ETag')
    ?.trim()
    .replace(/^"(.*)"$/, '$1')
  if (etag === undefined) throw malformed()
  const checksum = readChecksum(part)
  return { number: readNumber(part), etag, ...(checksum ? { checksum } : {}) }
}

function readNumber(part: XmlElement): number {
  const text = textOf(part, 'PartNumber')?.trim() ?? ''
  if (!/^-?\d{1,9}$/.test(text)) throw malformed()
  const number = Number(text)
  if (number >= 1 && number <= PARTS_MAX) return number
  throw new S3Error(
    'InvalidArgument',
    { ArgumentName: 'partNumber', ArgumentValue: text },
    { message: 'Part number must be an integer between 1 and 10000, inclusive' },
  )
}

function readChecksum(part: XmlElement): ListedPart['checksum'] {
  const given = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = textOf(part, `Checksum${algorithm}`)?.trim()
    return value ? [{ algorithm, value }] : []
  })
  const [checksum] = given
  if (given.length <= 1 && (checksum === undefined || decodeBase64(checksum.value) !== undefined))
    return checksum
  // Of two the second would be passed over.
  throw new S3Error(
    'InvalidArgument',
    { ArgumentName: 'Checksum' },
    { message: 'Invalid Base64 or multiple checksums present in request' },
  )
}
