// Finds every intact record of a metadata log file, also behind rotten ones. Pure.
import { decodeRecord, type LogRecord, RECORD_ALIGNMENT } from './record.ts'

/** An intact record and where it stands. */
export interface RecordPlace {
  record: LogRecord
  at: number
  bytes: number
}

/** What a file holds. */
export interface FileScan {
  places: RecordPlace[]
  /** Aligned places that hold neither a record nor nothing: torn or rotten. */
  rotten: number
}

/** The name of a log file: its number, then the salt of its checksums, which is in no file that could rot. */
export function logFileName(number: number, salt: bigint): string {
  return `${`${number}`.padStart(8, '0')}.${salt.toString(16).padStart(16, '0')}.log`
}

/** Number and salt in the name of a log file; undefined for other files. */
export function parseLogFileName(name: string): { number: number; salt: bigint } | undefined {
  const found = /^([0-9]{8})\.([0-9a-f]{16})\.log$/.exec(name)
  return found === null ? undefined : { number: Number(found[1]), salt: BigInt(`0x${found[2]}`) }
}

/** Walks over a whole file. What can not be read as a record is stepped over, so that what follows is still seen. */
export function scanFile(file: Uint8Array, salt: bigint): FileScan {
  const scan: FileScan = { places: [], rotten: 0 }
  let at = 0
  while (at < file.length) {
    const found = decodeRecord(file, at, salt)
    if (found.kind === 'record') {
      scan.places.push({ record: found.record, at, bytes: found.bytes })
      at += found.bytes
      continue
    }
    if (found.kind === 'rotten') scan.rotten += 1
    at += RECORD_ALIGNMENT
  }
  return scan
}
