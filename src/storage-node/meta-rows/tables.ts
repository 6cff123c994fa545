// Checks the checksum of every block of LevelDB's tables: LevelDB itself returns rotten blocks as data
// when it reads, and gives them fresh checksums when it compacts (docs/decisions/0001-metadata-in-leveldb-behind-a-log.md).
// Format: LevelDB's doc/table_format.md. Needs tables written without compression.
import { digestOf } from '../../digest/digest.ts'
import { asBuffer } from '../../kit/bytes.ts'
import { readIfThere } from '../../kit/files.ts'
import type { World } from '../../kit/world.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'

/** A block inside a table. */
interface BlockPlace {
  offset: number
  bytes: number
}

const FOOTER_BYTES = 48
const TRAILER_BYTES = 5
const MAGIC = 0xdb4775248b80fb57n

/** Names of the tables in a LevelDB directory. */
export function tablesIn(names: readonly string[]): string[] {
  return names.filter((name) => /^[0-9]+\.(ldb|sst)$/.test(name)).sort()
}

/** The first trouble in a table, or undefined when every block is as it was written. */
export function findTableTrouble(table: Uint8Array): string | undefined {
  const source = asBuffer(table)
  if (source.length < FOOTER_BYTES) return 'it is too short for a table'
  if (source.readBigUInt64LE(source.length - 8) !== MAGIC) return 'its footer is damaged'
  const footer = new Varints(source, source.length - FOOTER_BYTES)
  const metaIndex = readPlace(footer)
  const index = readPlace(footer)
  for (const place of [metaIndex, index]) {
    if (!isIntact(source, place)) return `its index at ${place.offset} is damaged`
  }
  // Both now are what LevelDB wrote, so that they can be parsed without doubt.
  if (source[index.offset + index.bytes] !== 0) return 'it is compressed'
  // The index lists the blocks of rows, the other one the filter: with a bit of that lost a row would not be found.
  const places = [...blocksOf(source, index), ...blocksOf(source, metaIndex)]
  const bad = places.find((place) => !isIntact(source, place))
  return bad && `the block at ${bad.offset} is damaged`
}

/**
 * Checks tables of a LevelDB directory until the first trouble. Tables that a compaction removed meanwhile are passed
 * over; one that looks bad is looked at again after `pause`, since it may have been half written.
 */
export async function checkTables(
  parts: { world: Pick<World, 'disk'>; drive: Pick<MetaDrive, 'run'> },
  tables: { directory: string; names: readonly string[] },
  pause: () => Promise<void>,
): Promise<string | undefined> {
  const check = async (name: string): Promise<string | undefined> => {
    const path = `${tables.directory}/${name}`
    const table = await parts.drive.run(() => readIfThere(parts.world, path))
    return table && findTableTrouble(table)
  }
  for (const name of tables.names) {
    if ((await check(name)) === undefined) continue
    await pause()
    const trouble = await check(name)
    if (trouble !== undefined) return `${name}: ${trouble}`
  }
  return undefined
}

function isIntact(source: Buffer, { offset, bytes }: BlockPlace): boolean {
  const end = offset + bytes
  if (end + TRAILER_BYTES > source.length) return false
  return source.readUInt32LE(end + 1) === maskedCrc(source.subarray(offset, end + 1))
}

/** CRC32C as LevelDB stores it: rotated and shifted, since a checksum of data with its own checksum says little. */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = asBuffer(digestOf('CRC32C', bytes)).readUInt32BE(0)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** The values of an index block are the places of other blocks. */
function blocksOf(source: Buffer, index: BlockPlace): BlockPlace[] {
  const end = index.offset + index.bytes
  const restarts = source.readUInt32LE(end - 4)
  const entriesEnd = end - 4 - restarts * 4
  const places: BlockPlace[] = []
  const reader = new Varints(source, index.offset)
  while (reader.at < entriesEnd) {
    reader.next()
    const keyBytes = reader.next()
    const valueBytes = reader.next()
    reader.at += keyBytes
    const after = reader.at + valueBytes
    places.push(readPlace(reader))
    reader.at = after
  }
  return places
}

function readPlace(reader: Varints): BlockPlace {
  const offset = reader.next()
  return { offset, bytes: reader.next() }
}

/** Reads LevelDB's variable-length numbers. */
export class Varints {
  readonly #source: Buffer
  at: number

  constructor(source: Buffer, at: number) {
    this.#source = source
    this.at = at
  }

  /** Steps over a string with its length before it. */
  skipBytes(): void {
    const bytes = this.next()
    this.at += bytes
  }

  next(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#source[this.at] ?? 0
      this.at += 1
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }
}
