// A new latest version over what a key has. One with an id of its own leaves everything below it;
// a `null` version takes the place of the one that was there.
import type { Uid } from '../../kit/uid.ts'
import type { RowBatch, RowChange } from '../log/contract.ts'
import { type AnyVersion, isDeleteMarker } from '../records.ts'
import { versionKey } from '../rows/keys.ts'
import { encodeVersionRow } from '../rows/version-row.ts'
import { discardVersion } from './become-garbage.ts'
import type { Context } from './decision.ts'
import { findVersion } from './find-version.ts'
import { changeHead, type KeyState, nullVersionIdOf, type Place } from './key-state.ts'
import { isLocked } from './locks.ts'

/** Changes that make `version` the latest; 'locked' when the `null` version may not give way to it. */
export function putOnTop(
  state: KeyState,
  version: AnyVersion,
  context: Context,
): RowBatch | 'locked' | Promise<RowBatch | 'locked'> {
  if (!state.head) return changeHead(state, undefined, { version })
  return version.versioned ? putNamed(state, version) : putNull(state, version, context)
}

function putNamed(state: KeyState, version: AnyVersion): RowBatch {
  const { head } = state
  if (!head) return changeHead(state, undefined, { version })
  const nullVersionId = nullVersionIdOf(head)
  const below = { older: true as const, ...(nullVersionId ? { nullVersionId } : {}) }
  return [keepBelow(state, head.version), ...changeHead(state, head, { version, ...below })]
}

async function putNull(
  state: KeyState,
  version: AnyVersion,
  context: Context,
): Promise<RowBatch | 'locked'> {
  const { head } = state
  const replaced = await findVersion(context.view, state, head, 'null')
  if (replaced && isLocked(replaced, { nowMs: context.nowMs, bypass: false })) return 'locked'
  const isKept = head !== undefined && head.version !== replaced
  const hasOlder = isKept || head?.older
  const batch = changeHead(state, head, { version, ...(hasOlder ? { older: true } : {}) })
  if (isKept) batch.push(keepBelow(state, head.version))
  if (!replaced) return batch
  if (isKept) batch.push({ key: belowKey(state, replaced), value: undefined })
  if (isDeleteMarker(replaced)) return batch
  return [...batch, ...(await discardVersion(state.bucketId, replaced, context, blobOf(version)))]
}

/** The change that keeps what was the latest version below another. */
function keepBelow(place: Place, kept: AnyVersion): RowChange {
  return { key: belowKey(place, kept), value: encodeVersionRow(kept) }
}

function belowKey({ bucketId, key }: Place, { versionId }: AnyVersion): Buffer {
  return versionKey(bucketId, key, versionId)
}

function blobOf(version: AnyVersion): Uid | undefined {
  return isDeleteMarker(version) ? undefined : version.blob?.uid
}
