// One entry of a replicated log: a batch of row changes and its place. Layout: docs/formats/metadata-log.md.
import { assert } from '../../kit/assert.ts'
import { asBuffer } from '../../kit/bytes.ts'
import type { LogPosition, RowBatch } from './contract.ts'

/** Where an entry stands and what its writer knew. */
export interface EntryHead extends LogPosition {
  /** Epoch of the entry before: together with `sequence` it says what this one follows. */
  prevEpoch: number
  /** Highest sequence that was committed when this entry was written: everything up to it must be found again. */
  committed: number
}

/** An entry with its batch in bytes. */
export interface LogEntry extends EntryHead {
  batch: Uint8Array
}

/** The position before the first entry. */
export const BEGINNING: LogPosition = { epoch: 0, sequence: 0 }

/** Whether both are the same place. */
export function isSamePosition(left: LogPosition, right: LogPosition): boolean {
  return left.epoch === right.epoch && left.sequence === right.sequence
}

/** A position as the key of a map. */
export function nameOfPosition({ epoch, sequence }: LogPosition): string {
  return `${epoch}/${sequence}`
}

const DELETED = 0xffffffff
const COUNT_BYTES = 4
const CHANGE_HEADER_BYTES = 8

/** u32 count, then for each change: u32 key length, u32 value length (0xffffffff: deleted), key, value. */
export function encodeBatch(batch: RowBatch): Uint8Array {
  let bytes = COUNT_BYTES
  for (const { key, value } of batch) {
    bytes += CHANGE_HEADER_BYTES + key.length + (value?.length ?? 0)
  }
  const target = Buffer.allocUnsafe(bytes)
  let at = target.writeUInt32LE(batch.length, 0)
  for (const { key, value } of batch) {
    at = target.writeUInt32LE(key.length, at)
    at = target.writeUInt32LE(value?.length ?? DELETED, at)
    target.set(key, at)
    at += key.length
    if (value !== undefined) target.set(value, at)
    at += value?.length ?? 0
  }
  return target
}

/** The batch in bytes whose checksum was right: anything else than a batch is our own mistake. */
export function decodeBatch(bytes: Uint8Array): RowBatch {
  const source = asBuffer(bytes)
  const count = source.readUInt32LE(0)
  const batch: RowBatch = []
  let at = COUNT_BYTES
  for (let index = 0; index < count; index += 1) {
    const keyBytes = source.readUInt32LE(at)
    const valueBytes = source.readUInt32LE(at + 4)
    at += CHANGE_HEADER_BYTES
    const key = source.subarray(at, at + keyBytes)
    at += keyBytes
    const value = valueBytes === DELETED ? undefined : source.subarray(at, at + valueBytes)
    at += value?.length ?? 0
    batch.push({ key, value })
  }
  assert(at === source.length, 'a batch ends where its bytes end')
  return batch
}

/** Whether `entry` directly follows `position`. */
export function follows(entry: EntryHead, position: LogPosition): boolean {
  return entry.sequence === position.sequence + 1 && entry.prevEpoch === position.epoch
}
