// The rows of a partition made again when all its replicas are lost: from the last dump, if there is one, and from what
// shards say of themselves. What is made from shards alone is marked `unconfirmed`: a write that was refused looks like one
// that was committed, and what was deleted since the dump may be there again (docs/guides/recovery.md). Pure.
import { type Uid, uidTimeMs } from '../../kit/uid.ts'
import type { Row } from '../commands/decision.ts'
import { originOf } from '../records.ts'
import { encodeClockRow } from '../rows/clock-row.ts'
import { CLOCK_KEY, RECOVERED_KEY } from '../rows/keys.ts'
import { encodeRecoveredRow } from '../rows/recovered-row.ts'
import { Draft } from './draft.ts'
import { placeUpload } from './place-upload.ts'
import {
  attributesOf,
  type FoundBlob,
  isReadable,
  labelOf,
  nameOf,
  noteOf,
  type RebuildReport,
  type Remains,
} from './remains.ts'
import { takeDump } from './take-dump.ts'

/** A blob that was there so long before the dump and that no row of it names was garbage then. */
const SURELY_GARBAGE_MS = 24 * 60 * 60 * 1000

/** So far the clock of a writer, or of who took the dump, may be ahead of that of a recovery. */
const AHEAD_MS_MAX = 10 * 60 * 1000

/** Makes the rows, in order of key. */
export async function rebuildRows(
  remains: Remains,
): Promise<{ rows: Row[]; report: RebuildReport }> {
  const draft = new Draft(remains)
  await takeDump(draft)
  await takeBlobs(draft)
  const time = BigInt(Math.floor(remains.nowMs)) << 16n
  draft.rows.put(CLOCK_KEY, encodeClockRow(time))
  if (remains.hasWriters) draft.rows.put(RECOVERED_KEY, encodeRecoveredRow(recoveredMs(remains)))
  const uploads = [...draft.uploads.values()]
  return { rows: [...draft.rows], report: { ...draft.report, uploads } }
}

/** Behind all that was found; where a clock was far ahead, not for longer than that may stop writes. */
function recoveredMs({ blobs, nowMs }: Remains): number {
  const latest = blobs.reduce((most, { blob }) => Math.max(most, uidTimeMs(blob.uid)), nowMs)
  return Math.ceil(Math.min(latest, nowMs + AHEAD_MS_MAX))
}

/** What was written since the dump, in the order of its uids: an upload where its last part is. */
async function takeBlobs(draft: Draft): Promise<void> {
  const { objects, uploads } = sortOut(draft)
  const steps = [
    ...objects.map((found) => ({ at: originOf(found.blob), run: () => placeObject(draft, found) })),
    ...[...uploads].map(([uploadId, parts]) => ({
      at: parts
        .map(({ blob }) => originOf(blob))
        .sort()
        .at(-1)!,
      run: () => placeUpload(draft, uploadId, parts),
    })),
  ].sort((left, right) => (left.at < right.at ? -1 : 1))
  for (const { run } of steps) await run()
}

/** Those that no row of the dump names and that may be part of something. */
function sortOut(draft: Draft): { objects: FoundBlob[]; uploads: Map<Uid, FoundBlob[]> } {
  const { report, used } = draft
  const { buckets } = draft.remains
  const garbageMs = surelyGarbageMs(draft.remains)
  const uploads = new Map<Uid, FoundBlob[]>()
  const objects: FoundBlob[] = []
  for (const found of draft.found()) {
    if (used.has(nameOf(found.blob))) continue
    if (!buckets.has(found.bucketId)) {
      report.strangers += 1
      continue
    }
    if (uidTimeMs(originOf(found.blob)) < garbageMs) continue
    const { role } = labelOf(found)
    if (role.kind === 'part') {
      const together = uploads.get(role.uploadId)
      if (together) together.push(found)
      else uploads.set(role.uploadId, [found])
    } else if (!isReadable(found.blob)) report.damaged.push(noteOf(found))
    else if (role.kind === 'object') objects.push(found)
    else report.unplaced.push(noteOf(found))
  }
  return { objects, uploads }
}

/**
 * What is older and in no row of the dump was garbage. Nothing, when the clock was ahead that the dump has its time from: what was
 * written behind it may have any time.
 */
function surelyGarbageMs({ dump, nowMs }: Remains): number {
  if (dump === undefined || dump.takenMs > nowMs + AHEAD_MS_MAX) return Number.NEGATIVE_INFINITY
  return dump.takenMs - SURELY_GARBAGE_MS
}

async function placeObject(draft: Draft, found: FoundBlob): Promise<void> {
  const { blob, plainBytes } = found
  const label = labelOf(found)
  const { facts, role, encryption } = label
  if (!facts || role.kind !== 'object') {
    draft.report.unplaced.push(noteOf(found))
    return
  }
  const { etag, checksum } = facts
  const when = { atMs: uidTimeMs(originOf(blob)), versioned: role.versioned }
  await draft.placeVersion(found, when, {
    ...attributesOf(label),
    ...{ bytes: plainBytes, etag, blob },
    ...(checksum ? { checksum } : {}),
    ...(encryption ? { encryption } : {}),
  })
}
