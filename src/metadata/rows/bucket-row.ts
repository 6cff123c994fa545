// What a partition knows of a bucket's life. Without a row a bucket is live at revision 0.
// The row of a dropped bucket stays for ever: its id must never be written to again.
import { packRow, unpackRow } from './row-bytes.ts'

const FORMAT = 1

/** `frozen`: asked to be deleted, refuses commands. `dropped`: gone. */
export interface BucketState {
  revision: number
  state: 'live' | 'frozen' | 'dropped'
}

interface PackedBucket {
  r: number
  s: BucketState['state']
}

/** The bytes of the row. */
export function encodeBucketRow({ revision, state }: BucketState): Buffer {
  return packRow(FORMAT, { r: revision, s: state } satisfies PackedBucket)
}

/** The state in a row. */
export function decodeBucketRow(bytes: Uint8Array): BucketState {
  const packed = unpackRow<PackedBucket>(bytes, FORMAT, 'bucket')
  return { revision: packed.r, state: packed.s }
}
