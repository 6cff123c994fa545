// One version of a key goes for ever. When it was the latest, the newest of those below takes its place.
import type { RowBatch } from '../log/contract.ts'
import { type AnyVersion, isDeleteMarker } from '../records.ts'
import type { Head } from '../rows/head-row.ts'
import { rangeOf, versionKey, versionsOfKey } from '../rows/keys.ts'
import { decodeVersionRow } from '../rows/version-row.ts'
import { discardVersion } from './become-garbage.ts'
import type { Context } from './decision.ts'
import { changeHead, type KeyState } from './key-state.ts'

/** Changes that remove `version`, which the key has. */
export async function removeVersion(
  state: KeyState,
  version: AnyVersion,
  context: Context,
): Promise<RowBatch> {
  const { head, bucketId } = state
  const isLatest = version.versionId === head?.version.versionId
  const rows = isLatest ? await removeLatest(state, head, context) : removeBelow(state, version)
  if (isDeleteMarker(version)) return rows
  return [...rows, ...(await discardVersion(bucketId, version, context))]
}

async function removeLatest(state: KeyState, head: Head, { view }: Context): Promise<RowBatch> {
  if (!head.older) return changeHead(state, head, undefined)
  const below = await view.scan(rangeOf(versionsOfKey(state.bucketId, state.key)), 2)
  const [newest] = below
  if (!newest) return changeHead(state, head, undefined)
  const version = decodeVersionRow(newest.value)
  const { nullVersionId } = head
  const next: Head = {
    version,
    ...(below.length > 1 ? { older: true } : {}),
    ...(nullVersionId && version.versioned ? { nullVersionId } : {}),
  }
  return [{ key: newest.key, value: undefined }, ...changeHead(state, head, next)]
}

function removeBelow(state: KeyState, { versionId }: AnyVersion): RowBatch {
  const { head, bucketId, key } = state
  const batch: RowBatch = [{ key: versionKey(bucketId, key, versionId), value: undefined }]
  if (!head || head.nullVersionId !== versionId) return batch
  const { nullVersionId: _, ...rest } = head
  return [...batch, ...changeHead(state, head, rest)]
}
