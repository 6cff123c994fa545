// What a command answered when it was done, so that the same command sent again is not done again.
// Only what the command does not carry itself: when it was committed, and what it found.
import { asBuffer } from '../../kit/bytes.ts'
import type { Command } from '../contract.ts'
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** A command that was done. */
export interface DoneCommand {
  kind: Command['kind']
  /** Of the log's clock: gives time of modification and version id. */
  time: bigint
  /** delete-object: whether there was something to delete. */
  existed?: boolean
}

interface PackedAnswer {
  c: Command['kind']
  h: Uint8Array
  x?: boolean
}

/** The bytes of the row. */
export function encodeAnswerRow({ kind, time, existed }: DoneCommand): Buffer {
  const h = packTime(time)
  return packRow(FORMAT, { c: kind, h, ...(existed === undefined ? {} : { x: existed }) })
}

/** What a row remembers. */
export function decodeAnswerRow(bytes: Uint8Array): DoneCommand {
  const packed = unpackRow<PackedAnswer>(bytes, FORMAT, 'answer')
  const done = { kind: packed.c, time: unpackTime(packed.h) }
  return packed.x === undefined ? done : { ...done, existed: packed.x }
}

/** A time of the log's clock as eight bytes. */
export function packTime(time: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(time)
  return bytes
}

/** The time that packTime() was given. */
export function unpackTime(bytes: Uint8Array): bigint {
  return asBuffer(bytes).readBigUInt64BE()
}
