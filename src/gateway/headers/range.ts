// The Range header, exactly as S3 takes it (pitfalls 70 to 77).
import type { ByteRange } from '../../objects/object-store.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'

/** Which bytes one range asks for, of an object of `bytes`. */
type OneRange =
  /** No range, or one that is to be ignored: answer 200 with everything. */
  { kind: 'whole' } | { kind: 'range'; range: ByteRange } | { kind: 'unsatisfiable' }

/** Which bytes a Range header asks for. */
export type RangeAsked =
  | OneRange
  /** Two at least, in the order asked, overlapping where the client said so. */
  | { kind: 'ranges'; ranges: ByteRange[] }

/** Enough for the columns of a Parquet row group; who asks for more gets everything, as RFC 9110 14.2 allows. */
export const RANGES_MAX = 64

/**
 * The ranges of bytes; other units, nonsense and more than `rangesMax` ranges are ignored (pitfall 70).
 * Of several those that begin after the end are left out, unless all do.
 */
export function parseRange(
  header: string | undefined,
  bytes: number,
  rangesMax = RANGES_MAX,
): RangeAsked {
  if (header === undefined) return { kind: 'whole' }
  const [, list] = /^bytes=(.*)$/i.exec(header.trim()) ?? []
  // White space is allowed around commas only (RFC 9110 14.1.1). It is trimmed: a pattern that looks for a comma behind it would
  // look again from each blank of a long run.
  const specs = (list?.split(',', rangesMax + 1) ?? []).map((spec, index) =>
    index === 0 ? spec.trimEnd() : spec.trim(),
  )
  if (specs.length === 0 || specs.length > rangesMax) return { kind: 'whole' }
  const asked = specs.map((spec) => parseSpec(spec, bytes))
  if (asked.some(({ kind }) => kind === 'whole')) return { kind: 'whole' }
  const ranges = asked.flatMap((one) => (one.kind === 'range' ? [one.range] : []))
  const [first, second] = ranges
  if (!first) return { kind: 'unsatisfiable' }
  return second ? { kind: 'ranges', ranges } : { kind: 'range', range: first }
}

function parseSpec(spec: string, bytes: number): OneRange {
  const [, first, last] = /^(\d*)-(\d*)$/.exec(spec) ?? []
  if (first === undefined || last === undefined || (first === '' && last === ''))
    return { kind: 'whole' }
  return first === '' ? suffixRange(Number(last), bytes) : plainRange(Number(first), last, bytes)
}

function suffixRange(length: number, bytes: number): OneRange {
  if (length === 0) return { kind: 'unsatisfiable' }
  if (bytes === 0) return { kind: 'whole' }
  return { kind: 'range', range: { first: Math.max(0, bytes - length), last: bytes - 1 } }
}

function plainRange(first: number, lastText: string, bytes: number): OneRange {
  const last = lastText === '' ? Infinity : Number(lastText)
  if (last < first) return { kind: 'whole' }
  if (first >= bytes) return { kind: 'unsatisfiable' }
  return { kind: 'range', range: { first, last: Math.min(last, bytes - 1) } }
}

/** The refusal of a range that begins after the end (pitfall 71). */
export function invalidRange(header: string, bytes: number): S3Error {
  return new S3Error(
    'InvalidRange',
    { RangeRequested: header, ActualObjectSize: String(bytes) },
    { headers: { 'content-range': `bytes */${bytes}` } },
  )
}

const COPY_RANGE = 'x-amz-copy-source-range'
const COPY_RANGE_FORM =
  'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy'

/** x-amz-copy-source-range: both ends given, inside the source (pitfall 76); none is all of it. */
export function parseCopySourceRange(header: string | undefined, bytes: number): ByteRange {
  if (header === undefined) return { first: 0, last: bytes - 1 }
  const [, firstText, lastText] = /^bytes=(\d+)-(\d+)$/.exec(header.trim()) ?? []
  const range = { first: Number(firstText), last: Number(lastText) }
  if (firstText === undefined || range.first > range.last)
    throw invalidArgument(COPY_RANGE, header, COPY_RANGE_FORM)
  if (range.last < bytes) return range
  if (range.first < bytes) {
    const message = `Range specified is not valid for source object of size: ${bytes}`
    throw invalidArgument(COPY_RANGE, header, message)
  }
  const message = 'The specified copy range is invalid for the source object size'
  throw new S3Error('InvalidRequest', {}, { message })
}
