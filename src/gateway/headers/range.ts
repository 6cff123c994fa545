// The Range header, exactly as S3 takes it (pitfalls 70 to 77).
import type { ByteRange } from '../../objects/object-store.ts'
import { S3Error } from '../s3-error.ts'

/** Which bytes a Range header asks for, of an object of `bytes`. */
export type RangeAsked =
  /** No range, or one that is to be ignored: answer 200 with everything. */
  { kind: 'whole' } | { kind: 'range'; range: ByteRange } | { kind: 'unsatisfiable' }

/** One range of bytes; several, other units and nonsense are ignored (pitfall 70). */
export function parseRange(header: string | undefined, bytes: number): RangeAsked {
  const [, first, last] = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)$/i.exec(header?.trim() ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === ''))
    return { kind: 'whole' }
  return first === '' ? suffixRange(Number(last), bytes) : plainRange(Number(first), last, bytes)
}

function suffixRange(length: number, bytes: number): RangeAsked {
  if (length === 0) return { kind: 'unsatisfiable' }
  if (bytes === 0) return { kind: 'whole' }
  return { kind: 'range', range: { first: Math.max(0, bytes - length), last: bytes - 1 } }
}

function plainRange(first: number, lastText: string, bytes: number): RangeAsked {
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

/** x-amz-copy-source-range: both ends given, inside the source (pitfall 76); none is all of it. */
export function parseCopySourceRange(header: string | undefined, bytes: number): ByteRange {
  if (header === undefined) return { first: 0, last: bytes - 1 }
  const [, firstText, lastText] = /^bytes=(\d+)-(\d+)$/.exec(header.trim()) ?? []
  const range = { first: Number(firstText), last: Number(lastText) }
  if (firstText !== undefined && range.first <= range.last && range.last < bytes) return range
  throw new S3Error(
    'InvalidArgument',
    { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: header },
    { message: `Range specified is not valid for source object of size: ${bytes}` },
  )
}
