// Several ranges in one answer: multipart/byteranges (RFC 9110 14.6). AWS sends everything instead.
import type { ByteRange } from '../../../objects/object-store.ts'

/** How the answer is cut: heads between the ranges, and a line at the end. */
export interface RangesLayout {
  headers: Record<string, string>
  /** Of the whole answer. */
  bytes: number
  ranges: { head: Uint8Array; range: ByteRange }[]
  end: Uint8Array
}

/**
 * The layout of `ranges` of an object of `objectBytes`. The boundary is made of the id of the request, which
 * nobody knew when the object was written.
 */
export function layOutRanges(
  ranges: readonly ByteRange[],
  object: { bytes: number; contentType: string },
  requestId: string,
): RangesLayout {
  const boundary = `kintsugi-${requestId}`
  const laid = ranges.map((range, index) => {
    const head =
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\n` +
      `Content-Type: ${object.contentType}\r\n` +
      `Content-Range: bytes ${range.first}-${range.last}/${object.bytes}\r\n\r\n`
    return { head: Buffer.from(head, 'latin1'), range }
  })
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  const bytes = laid.reduce(
    (sum, { head, range }) => sum + head.length + range.last - range.first + 1,
    end.length,
  )
  const headers = {
    'content-type': `multipart/byteranges; boundary=${boundary}`,
    'content-length': String(bytes),
  }
  return { headers, bytes, ranges: laid, end }
}

/** The answer itself. Nothing comes before the first range has begun to be read: it can still be refused then. */
export async function* joinRanges(
  { ranges, end }: RangesLayout,
  read: (range: ByteRange) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for (const { head, range } of ranges) {
    let opening: Uint8Array | undefined = head
    for await (const chunk of read(range)) {
      if (opening) yield opening
      opening = undefined
      yield chunk
    }
  }
  yield end
}
