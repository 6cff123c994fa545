// Finds every intact record of a metadata log file, also behind rotten ones. Pure.
import { decodeRecord, type LogRecord, RECORD_ALIGNMENT, RecordKind } from './record.ts'

/** An intact record and where it stands. */
export interface RecordPlace {
  record: LogRecord
  at: number
  bytes: number
}

/** A record of a sealed log with its batch. */
export interface WholeRecord extends RecordPlace {
  batch: Uint8Array
  /** Right before it something was lost that was durable. */
  isBehindLoss: boolean
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

/**
 * The records of a file of a log that is sealed, but for what a crash tore while it was written: nobody heard that it was durable. Every
 * record says up to where the file was durable before it, and a seal says so of all of it; where something else stands, it was lost.
 */
export function readSealedFile(file: Uint8Array, salt: bigint): WholeRecord[] {
  const records: WholeRecord[] = []
  let isBehindLoss = false
  let at = 0
  while (at < file.length) {
    const found = decodeRecord(file, at, salt)
    if (found.kind === 'record') {
      const { record, batch, bytes } = found
      records.push({ record, batch, bytes, at, isBehindLoss })
      if (record.kind === RecordKind.Seal) return records
      isBehindLoss = false
      at += bytes
    } else {
      const wasDurable = isBehindLoss || durableEnd(file, at, salt) > at
      if (!wasDurable) return records
      isBehindLoss = true
      at += RECORD_ALIGNMENT
    }
  }
  return records
}

/** Up to where the records behind `from` say that the file was durable. */
function durableEnd(file: Uint8Array, from: number, salt: bigint): number {
  let durable = 0
  let at = from
  while (at < file.length) {
    const found = decodeRecord(file, at, salt)
    if (found.kind === 'record') durable = Math.max(durable, found.groupAt)
    at += found.kind === 'record' ? found.bytes : RECORD_ALIGNMENT
  }
  return durable
}
