// The parts of an upload as a command finds them.
import type { Uid } from '../../kit/uid.ts'
import type { RowBatch } from '../log/contract.ts'
import { PARTS_MAX, type Part } from '../records.ts'
import { partKey, partsOf, rangeOf } from '../rows/keys.ts'
import { decodePartRow } from '../rows/part-row.ts'
import type { View } from './decision.ts'

/** The first `limit` parts of an upload, in order of number. */
export async function readParts(view: View, uploadId: Uid, limit = PARTS_MAX): Promise<Part[]> {
  const rows = await view.scan(rangeOf(partsOf(uploadId)), limit)
  return rows.map(({ value }) => decodePartRow(value))
}

/** Changes that forget the rows of parts; their blobs are another matter. */
export function forgetParts(uploadId: Uid, parts: readonly Part[]): RowBatch {
  return parts.map(({ number }) => ({ key: partKey(uploadId, number), value: undefined }))
}
