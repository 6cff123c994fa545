// Which bytes of an object a GET or HEAD asks for: all, a range or a part, and the headers that follow from it.
import type { ByteRange, ObjectVersion, StoredObject } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { checksumFields, wantsChecksum } from '../../headers/checksum-headers.ts'
import { parseHttpDate } from '../../headers/dates.ts'
import { parsePartNumber } from '../../headers/part-number.ts'
import { invalidRange, parseRange } from '../../headers/range.ts'
import { S3Error } from '../../s3-error.ts'

/** A choice of bytes. */
export interface Selection {
  status: 200 | 206
  headers: Record<string, string>
  range: ByteRange | undefined
  bytes: number
}

/** What the call asks for of `object`; throws when there is no such range or part. */
export function selectBytes(call: Call, object: StoredObject): Selection | Promise<Selection> {
  return call.query.partNumber === undefined
    ? selectRange(call, object.version)
    : selectPart(call, object)
}

function selectRange(call: Call, version: ObjectVersion): Selection {
  const header = rangeHeader(call, version)
  const asked = parseRange(header, version.bytes)
  if (asked.kind === 'unsatisfiable') throw invalidRange(header ?? '', version.bytes)
  const range = asked.kind === 'range' ? asked.range : { first: 0, last: version.bytes - 1 }
  const checksum =
    wantsChecksum(call.headers) && coversAll(range, version) ? version.checksum : undefined
  return select(asked.kind === 'range' ? 206 : 200, range, version, checksumFields(checksum))
}

async function selectPart(call: Call, object: StoredObject): Promise<Selection> {
  const { version } = object
  const number = parsePartNumber(call.query)
  const part = await object.findPart(number)
  if (!part) throw noSuchPart(number, version)
  const range = { first: part.firstByte, last: part.firstByte + part.bytes - 1 }
  const counted = version.manifest ? { 'x-amz-mp-parts-count': String(part.partCount) } : {}
  const headers = {
    ...counted,
    ...(wantsChecksum(call.headers) ? partChecksum(part, version) : {}),
  }
  return select(version.bytes === 0 ? 200 : 206, range, version, headers)
}

// A value that does not cover exactly the bytes sent would make clients fail (pitfall 39).
function partChecksum(
  part: NonNullable<Awaited<ReturnType<StoredObject['findPart']>>>,
  version: ObjectVersion,
): Record<string, string> {
  if (part.bytes === version.bytes && version.checksum?.type === 'FULL_OBJECT')
    return checksumFields(version.checksum)
  if (version.checksum?.type !== 'COMPOSITE' || !part.checksum) return {}
  return checksumFields({ ...part.checksum, type: 'COMPOSITE' })
}

function select(
  status: 200 | 206,
  range: ByteRange,
  version: ObjectVersion,
  extra: Record<string, string>,
): Selection {
  const bytes = range.last - range.first + 1
  const headers: Record<string, string> = { ...extra, 'content-length': String(bytes) }
  if (status === 206 && bytes > 0)
    headers['content-range'] = `bytes ${range.first}-${range.last}/${version.bytes}`
  return { status, headers, range: bytes === 0 ? undefined : range, bytes }
}

// If-Range that names another version: the range is void, everything is sent (pitfall 73).
function rangeHeader({ headers }: Call, version: ObjectVersion): string | undefined {
  const ifRange = headers['if-range']?.trim()
  if (ifRange === undefined) return headers.range
  const date = parseHttpDate(ifRange)
  const isSame =
    date === undefined
      ? ifRange.replace(/^"(.*)"$/, '$1') === version.etag
      : date === Math.floor(version.modifiedMs / 1000)
  return isSame ? headers.range : undefined
}

function coversAll(range: ByteRange, version: ObjectVersion): boolean {
  return range.first === 0 && range.last === version.bytes - 1
}

/** Throws when the call asks for a range of a part. */
export function refuseRangeOfPart({ headers, query }: Call): void {
  if (query.partNumber === undefined || headers.range === undefined) return
  throw new S3Error(
    'InvalidRequest',
    {},
    { message: 'Cannot specify both Range header and partNumber query parameter' },
  )
}

function noSuchPart(number: number, version: ObjectVersion): S3Error {
  return new S3Error('InvalidPartNumber', {
    ActualPartCount: String(version.manifest?.partCount ?? 1),
    PartNumberRequested: String(number),
  })
}
