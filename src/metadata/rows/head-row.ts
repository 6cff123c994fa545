// The row of the latest version of a key: what it is, and what is known of those below without looking for them.
import type { AnyVersion } from '../records.ts'
import { packRow, unpackRow } from './row-bytes.ts'
import { type PackedAnyVersion, packAnyVersion, unpackAnyVersion } from './version-row.ts'

const FORMAT = 1

/** The latest version of a key: its row is of kind Current or Marker. */
export interface Head {
  version: AnyVersion
  /** The key may have versions below. Absent: it has none. */
  older?: true
  /** The id of the `null` version, when that is one of those below. */
  nullVersionId?: string
}

type PackedHead = PackedAnyVersion & { w?: true; n?: string }

/** The bytes of the row of `head`. */
export function encodeHeadRow({ version, older, nullVersionId }: Head): Buffer {
  const packed: PackedHead = packAnyVersion(version)
  if (older) packed.w = older
  if (nullVersionId !== undefined) packed.n = nullVersionId
  return packRow(FORMAT, packed)
}

/** The head in a row. */
export function decodeHeadRow(bytes: Uint8Array): Head {
  const packed = unpackRow<PackedHead>(bytes, FORMAT, 'head')
  const head: Head = { version: unpackAnyVersion(packed) }
  if (packed.w) head.older = packed.w
  if (packed.n !== undefined) head.nullVersionId = packed.n
  return head
}
