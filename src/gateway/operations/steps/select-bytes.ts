// Which bytes of an object a GET or HEAD asks for: all, a range, several ranges or a part, and the headers that follow.
import type {
  ByteRange,
  Checksum,
  ObjectVersion,
  StoredObject,
} from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { checksumFields, wantsChecksum } from '../../headers/checksum-headers.ts'
import { parseHttpDate } from '../../headers/dates.ts'
import { parsePartNumber } from '../../headers/part-number.ts'
import { invalidRange, parseRange, RANGES_MAX } from '../../headers/range.ts'
import { S3Error } from '../../s3-error.ts'

/** One run of bytes. */
export interface OneSelection {
  kind: 'bytes'
  status: 200 | 206
  headers: Record<string, string>
  /** undefined: no bytes at all. */
  range: ByteRange | undefined
  bytes: number
  /** Whether the client wants a checksum and none is known of just these bytes: GET computes one. */
  unchecked: boolean
}

/** A choice of bytes. */
export type Selection = OneSelection | { kind: 'ranges'; ranges: ByteRange[] }

/** What the call asks for of `object`; throws when there is no such range or part. */
export function selectBytes(call: Call, object: StoredObject): Selection | Promise<Selection> {
  return call.query.partNumber === undefined
    ? selectRange(call, object.version)
    : selectPart(call, object)
}

function selectRange(call: Call, version: ObjectVersion): Selection {
  const header = rangeHeader(call, version)
  const asked = parseRange(header, version.bytes, call.strict ? 1 : RANGES_MAX)
  if (asked.kind === 'unsatisfiable') throw invalidRange(header ?? '', version.bytes)
  if (asked.kind === 'ranges') return asked
  const range = asked.kind === 'range' ? asked.range : { first: 0, last: version.bytes - 1 }
  const checksum = coversAll(range, version) ? version.checksum : undefined
  return select(call, { range, version, isPart: asked.kind === 'range' }, checksum)
}

async function selectPart(call: Call, object: StoredObject): Promise<Selection> {
  const { version } = object
  const number = parsePartNumber(call.query)
  const part = await object.findPart(number)
  if (!part) throw noSuchPart(number, version)
  const range = { first: part.firstByte, last: part.firstByte + part.bytes - 1 }
  const isPart = version.bytes > 0
  const selection = select(call, { range, version, isPart }, partChecksum(call, part, version))
  const counted = { 'x-amz-mp-parts-count': String(part.partCount) }
  return version.manifest
    ? { ...selection, headers: { ...counted, ...selection.headers } }
    : selection
}

// A value that does not cover exactly the bytes sent would make clients fail (pitfall 39).
function partChecksum(
  { strict }: Call,
  part: NonNullable<Awaited<ReturnType<StoredObject['findPart']>>>,
  { bytes, checksum }: ObjectVersion,
): Checksum | undefined {
  if (part.bytes === bytes && checksum?.type === 'FULL_OBJECT') return checksum
  // AWS shows parts' own values only of COMPOSITE objects.
  if (!part.checksum || (strict && checksum?.type !== 'COMPOSITE')) return undefined
  return { ...part.checksum, type: checksum?.type ?? 'FULL_OBJECT' }
}

/** `known` is the checksum of exactly this range, for clients that want one. */
function select(
  { headers: sent, strict }: Call,
  { range, version, isPart }: { range: ByteRange; version: ObjectVersion; isPart: boolean },
  known: Checksum | undefined,
): OneSelection {
  const bytes = range.last - range.first + 1
  const wanted = wantsChecksum(sent)
  const headers: Record<string, string> = wanted ? checksumFields(known) : {}
  headers['content-length'] = String(bytes)
  if (isPart && bytes > 0)
    headers['content-range'] = `bytes ${range.first}-${range.last}/${version.bytes}`
  return {
    kind: 'bytes',
    status: isPart ? 206 : 200,
    headers,
    range: bytes === 0 ? undefined : range,
    bytes,
    unchecked: wanted && isPart && !strict && known === undefined,
  }
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

/** Throws when the call asks for what is no part of any object, or for a range of a part. */
export function refusePart({ headers, query }: Call): void {
  if (query.partNumber === undefined) return
  if (headers.range === undefined) {
    parsePartNumber(query)
    return
  }
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
