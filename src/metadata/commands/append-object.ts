// append-object: the object grows by one part, and no byte of it moves. The parts that it has already stay where they
// are: every part that is appended is a manifest row of its own, under the same uid.
import { assert } from '../../kit/assert.ts'
import type { Answers } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import type { ObjectVersion, Part } from '../records.ts'
import { manifestKey, manifestOf, rangeOf } from '../rows/keys.ts'
import { decodeManifestRow, encodeManifestRows } from '../rows/manifest-row.ts'
import { answerChange } from './answer-change.ts'
import { MANIFEST_CHUNKS_MAX, oweShards } from './become-garbage.ts'
import { checkConditions } from './conditions.ts'
import { type CommandOf, type Context, type Rule, refuse, type View } from './decision.ts'
import { changeHead, readKey } from './key-state.ts'
import { isLocked } from './locks.ts'
import { timeMs } from './log-time.ts'
import { versionAt } from './version-at.ts'

type AppendObject = CommandOf<'append-object'>
type Manifest = Required<ObjectVersion>['manifest']

/** `changed` where the current version is not the one that the sender saw, or the bucket keeps versions. */
export const appendObject: Rule<'append-object'> = {
  async decide(command, context) {
    const { bucket, key } = command
    // Versions that are kept do not share bytes: the caller did not know yet that they are.
    if (bucket.versioning !== 'unversioned') return refuse({ kind: 'changed' })
    const state = await readKey(command, context.view)
    if (state === 'bucket-gone') return refuse({ kind: 'bucket-gone' })
    const { head, current } = state
    const refused = checkConditions(command.conditions, current)
    if (refused) return refuse(refused)
    if (!head || !current || current.versionId !== command.versionId) {
      return refuse({ kind: 'changed' })
    }
    if (isLocked(current, { nowMs: context.nowMs, bypass: false })) {
      return refuse({ kind: 'locked' })
    }

    const { manifest, batch: rows } = await growManifest(command, current, context)
    const version = grow(command, current, manifest, context.time)
    const batch = [
      ...changeHead(state, head, { ...head, version }),
      ...rows,
      ...oweShards({ bucketId: bucket.id, key }, command.part.blob),
      answerChange(command, context, { version }),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done', version } }
  },

  repeat: (_, done): Answers['append-object'] => ({ kind: 'done', version: done.version! }),
}

function grow(
  command: AppendObject,
  current: ObjectVersion,
  manifest: Manifest,
  time: bigint,
): ObjectVersion {
  const { part, etag, checksum } = command
  const { blob: _blob, checksum: _checksum, editId: _edit, ...kept } = current
  const bytes = current.bytes + part.bytes
  const grown = { ...kept, bytes, etag, manifest, ...(checksum ? { checksum } : {}) }
  return versionAt(grown, command, time)
}

async function growManifest(
  command: AppendObject,
  current: ObjectVersion,
  { view, time }: Context,
): Promise<{ manifest: Manifest; batch: RowBatch }> {
  const { manifest } = current
  const before = manifest ? [await readLastPart(view, manifest)] : ownPart(current)
  const number = (before[0]?.number ?? 0) + 1
  const part = { ...command.part, number, modifiedMs: timeMs(time) }
  if (manifest) {
    const { uid, partCount } = manifest
    return {
      manifest: { uid, partCount: partCount + 1 },
      batch: manifestRows(uid, partCount, [part]),
    }
  }
  const uid = command.manifestUid
  const parts = [...before, part]
  return { manifest: { uid, partCount: parts.length }, batch: manifestRows(uid, 0, parts) }
}

/**
 * Manifest rows from `chunk` on. A part that is appended as the n-th, counted from 0, is chunk n: greater than those
 * before, of which there are not more than parts. So the last chunk is found, and nothing needs to count them.
 */
function manifestRows(uid: Manifest['uid'], chunk: number, parts: readonly Part[]): RowBatch {
  return encodeManifestRows(parts).map((value, index) => ({
    key: manifestKey(uid, chunk + index),
    value,
  }))
}

/** What the object is made of before it has a manifest: at most one part. */
function ownPart({ bytes, etag, modifiedMs, checksum, blob }: ObjectVersion): Part[] {
  if (!blob) return []
  return [{ number: 1, bytes, etag, modifiedMs, ...(checksum ? { checksum } : {}), blob }]
}

async function readLastPart(view: View, { uid, partCount }: Manifest): Promise<Part> {
  const appended = await view.get(manifestKey(uid, partCount - 1))
  const last =
    appended ?? (await view.scan(rangeOf(manifestOf(uid)), MANIFEST_CHUNKS_MAX)).at(-1)?.value
  const part = last && decodeManifestRow(last).at(-1)
  assert(part, 'a manifest has parts')
  return part
}
