// What changes beside the bytes of a version: finds the version, and writes it anew where it stands.
import type { NotEditable } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import { type BucketRef, isDeleteMarker, type ObjectVersion } from '../records.ts'
import { versionKey } from '../rows/keys.ts'
import { encodeVersionRow } from '../rows/version-row.ts'
import type { View } from './decision.ts'
import { findVersion } from './find-version.ts'
import { changeHead, type KeyState, readKey } from './key-state.ts'

/** The version of that name (absent: the latest) and the key that it is of, or why there is nothing to edit. */
export async function findToEdit(
  command: { bucket: BucketRef; key: string; versionId?: string },
  view: View,
): Promise<
  { kind: 'found'; state: KeyState; version: ObjectVersion } | NotEditable | { kind: 'bucket-gone' }
> {
  const { versionId } = command
  const state = await readKey(command, view)
  if (state === 'bucket-gone') return { kind: 'bucket-gone' }
  const { head } = state
  const found =
    versionId === undefined ? head?.version : await findVersion(view, state, head, versionId)
  if (!found) return { kind: 'no-version' }
  if (isDeleteMarker(found)) return { kind: 'delete-marker', marker: found }
  return { kind: 'found', state, version: found }
}

/** Changes that write a version anew where it stands. */
export function replaceVersion(state: KeyState, version: ObjectVersion): RowBatch {
  const { head, bucketId, key } = state
  if (head?.version.versionId === version.versionId) {
    return changeHead(state, head, { ...head, version })
  }
  const rowKey = versionKey(bucketId, key, version.versionId)
  return [{ key: rowKey, value: encodeVersionRow(version) }]
}
