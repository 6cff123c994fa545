// Which tables a LevelDB is made of, read from its manifest before LevelDB itself is let at them:
// once open it compacts, and a rotten table comes out with fresh checksums.
// Formats: LevelDB's doc/log_format.md and db/version_edit.cc.
import { asBuffer } from '../../kit/bytes.ts'
import { maskedCrc, Varints } from './tables.ts'

/** What a manifest says. A cut at its very end is what a crash leaves and no damage. */
export type Manifest =
  /** Bytes of every live table by its number. */
  { kind: 'whole'; tables: Map<number, number> } | { kind: 'damaged'; detail: string }

const BLOCK_BYTES = 32 * 1024
const HEADER_BYTES = 7
const RecordType = { Full: 1, First: 2, Middle: 3, Last: 4 } as const
const Tag = {
  Comparator: 1,
  LogNumber: 2,
  NextFileNumber: 3,
  LastSequence: 4,
  CompactPointer: 5,
  DeletedFile: 6,
  NewFile: 7,
  PrevLogNumber: 9,
} as const

/** Reads a manifest. */
export function readManifest(bytes: Uint8Array): Manifest {
  const tables = new Map<number, number>()
  const records = readRecords(asBuffer(bytes))
  if (typeof records === 'string') return { kind: 'damaged', detail: `the manifest: ${records}` }
  for (const record of records) {
    const trouble = applyEdit(record, tables)
    if (trouble !== undefined) return { kind: 'damaged', detail: trouble }
  }
  return { kind: 'whole', tables }
}

/** The records of a file in LevelDB's log format, or what is wrong with it. */
export function readRecords(source: Buffer): Buffer[] | string {
  const records: Buffer[] = []
  let unfinished: Buffer[] = []
  let at = 0
  while (at + HEADER_BYTES <= source.length) {
    const leftInBlock = BLOCK_BYTES - (at % BLOCK_BYTES)
    if (leftInBlock < HEADER_BYTES) {
      at += leftInBlock
      continue
    }
    const length = source.readUInt16LE(at + 4)
    const type = source[at + 6]!
    const end = at + HEADER_BYTES + length
    if (end > source.length) break
    const body = source.subarray(at + HEADER_BYTES, end)
    if (source.readUInt32LE(at) !== maskedCrc(source.subarray(at + 6, end))) {
      return `the record at ${at} is damaged`
    }
    unfinished.push(body)
    if (type === RecordType.Full || type === RecordType.Last) {
      records.push(Buffer.concat(unfinished))
      unfinished = []
    }
    at = end
  }
  return records
}

function applyEdit(record: Buffer, tables: Map<number, number>): string | undefined {
  const reader = new Varints(record, 0)
  while (reader.at < record.length) {
    const tag = reader.next()
    switch (tag) {
      case Tag.Comparator:
        reader.skipBytes()
        break
      case Tag.LogNumber:
      case Tag.NextFileNumber:
      case Tag.LastSequence:
      case Tag.PrevLogNumber:
        reader.next()
        break
      case Tag.CompactPointer:
        reader.next()
        reader.skipBytes()
        break
      case Tag.DeletedFile:
        reader.next()
        tables.delete(reader.next())
        break
      case Tag.NewFile: {
        reader.next()
        const number = reader.next()
        tables.set(number, reader.next())
        reader.skipBytes()
        reader.skipBytes()
        break
      }
      default:
        return `the manifest has an unknown tag ${tag}`
    }
  }
  return undefined
}
