// Finds the records of a segment from its bytes alone, hopping from header to header.
// After a damaged header it goes on at the next place where a whole one begins: rot never hides what follows.
import { roundUp } from '../../kit/bytes.ts'
import {
  HEADER_MAGIC,
  MAX_HEADER_BYTES,
  parseHeader,
  RECORD_ALIGNMENT,
  type RecordHeader,
} from './record-format.ts'

/** A record that begins at `offset` with a whole header. Its cells were not looked at. */
export interface ScannedRecord extends RecordHeader {
  offset: number
}

/** The segment to scan: its number, how many bytes of it, and how to read them (short only at the end). */
export interface ScanSource {
  segment: number
  bytes: number
  read(target: Uint8Array, position: number): Promise<number>
}

const WINDOW_BYTES = 64 * 1024

/** All records that begin with a whole header and end within the file, in order. */
export async function* scanRecords(
  source: ScanSource,
  secret: bigint,
): AsyncGenerator<ScannedRecord> {
  const window = new Window(source)
  let offset = 0
  while (offset < source.bytes) {
    const header = await readHeader(window, offset, secret)
    if (header === undefined || offset + header.layout.recordBytes > source.bytes) {
      offset = await findMagic(window, offset + RECORD_ALIGNMENT)
      continue
    }
    yield { ...header, offset }
    offset += header.layout.recordBytes
  }
}

async function readHeader(
  window: Window,
  offset: number,
  secret: bigint,
): Promise<RecordHeader | undefined> {
  const place = { segment: window.source.segment, offset }
  const parsed = parseHeader(await window.at(offset, RECORD_ALIGNMENT * 2), secret, place)
  if (parsed.kind === 'header') return parsed.header
  if (parsed.kind === 'none') return undefined
  const again = parseHeader(await window.at(offset, parsed.bytes), secret, place)
  return again.kind === 'header' ? again.header : undefined
}

/** The next place from `from` on where a header may begin; the end of the segment when there is none. */
async function findMagic(window: Window, from: number): Promise<number> {
  let offset = from
  while (offset < window.source.bytes) {
    const bytes = await window.at(offset, RECORD_ALIGNMENT)
    let found = bytes.indexOf(HEADER_MAGIC)
    while (found >= 0 && found % RECORD_ALIGNMENT !== 0) {
      found = bytes.indexOf(HEADER_MAGIC, found + 1)
    }
    if (found >= 0) return offset + found
    offset += Math.max(RECORD_ALIGNMENT, roundUp(bytes.length, RECORD_ALIGNMENT))
  }
  return window.source.bytes
}

/** A part of the segment in memory. Offsets that are asked for are aligned, so the window is too. */
class Window {
  readonly source: ScanSource
  readonly #buffer = Buffer.allocUnsafe(Math.max(WINDOW_BYTES, MAX_HEADER_BYTES))
  #from = 0
  #bytes = 0

  constructor(source: ScanSource) {
    this.source = source
  }

  /** All bytes in memory from `offset` on, at least `count` of them unless the segment ends before. */
  async at(offset: number, count: number): Promise<Buffer> {
    const end = Math.min(offset + count, this.source.bytes)
    if (offset < this.#from || end > this.#from + this.#bytes) {
      const wanted = Math.min(this.#buffer.length, this.source.bytes - offset)
      this.#bytes = await this.source.read(this.#buffer.subarray(0, wanted), offset)
      this.#from = offset
    }
    return this.#buffer.subarray(offset - this.#from, this.#bytes)
  }
}
