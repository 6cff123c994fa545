// The rows of the dump, with blobs where they are now; what it names and nobody has any more was deleted since, or is lost.
import { oweShards } from '../commands/become-garbage.ts'
import type { Row } from '../commands/decision.ts'
import { removeVersion } from '../commands/remove-version.ts'
import { type Blob, isDeleteMarker, MISSING_SLOT } from '../records.ts'
import { referencesIn, replaceInRow, whereaboutsOf } from '../rows/blob-rows.ts'
import { decodeGarbageRow } from '../rows/garbage-row.ts'
import {
  bucketIdOf,
  KeyKind,
  keyOfHead,
  keyOfVersion,
  manifestEndKey,
  manifestOf,
  parseUploadKey,
  rangeOf,
  rangeOfKind,
  uidOfParts,
} from '../rows/keys.ts'
import { decodeManifestRow } from '../rows/manifest-row.ts'
import { decodeVersionRow } from '../rows/version-row.ts'
import type { Draft } from './draft.ts'
import { isReadable, nameOf } from './remains.ts'

/** Rows of the dump, with blobs where they are now. */
export async function takeDump(draft: Draft): Promise<void> {
  const { remains, report, rows, used } = draft
  const keys: Uint8Array[] = []
  for (const { key, value } of remains.dump?.rows ?? []) {
    report.dumpedRows += 1
    const kind = key[0]
    // Commands of back then are not sent again, and what is owed is found anew.
    if (kind === KeyKind.Answer || kind === KeyKind.Repair) continue
    if (kind === KeyKind.Garbage) used.add(nameOf(decodeGarbageRow(value, 0).blob))
    rows.put(key, value)
    keys.push(key)
  }
  for (const key of keys) await settle(draft, key)
  noteUploads(draft)
}

/** Where the blobs of a row are now. When nothing is left of what it names it goes, and what comes up instead is settled. */
async function settle(draft: Draft, key: Uint8Array): Promise<void> {
  // Every round but the last removes a version of the key.
  for (;;) {
    const value = draft.rows.get(key)
    if (value === undefined || hasEnded(draft, key)) return
    if (await isSettled(draft, { key, value })) return
  }
}

/** False when the row is another one or none now. */
async function isSettled(draft: Draft, { key, value }: Row): Promise<boolean> {
  const { report, used } = draft
  if (lostAllParts(draft, { key, value })) {
    report.gone.push({ bucketId: bucketIdOf(key), key: keyOfRow(key) })
    await forget(draft, { key, value })
    return false
  }
  let current = value
  for (const { blob, bucketId, key: objectKey } of referencesIn({ key, value })) {
    used.add(nameOf(blob))
    const found = draft.find(blob)
    const noted = {
      ...(bucketId === undefined ? {} : { bucketId, key: objectKey! }),
      uid: blob.uid,
    }
    if (!found && key[0] !== KeyKind.Manifest && !mayBeElsewhere(draft, blob)) {
      report.gone.push(noted)
      await forget(draft, { key, value })
      return false
    }
    if (!found || !isReadable(found.blob)) report.damaged.push(noted)
    if (!found) continue
    const isNamed = found.blob.uid === blob.uid
    const there = isNamed ? { ...blob, drives: drivesOf(draft, blob, found.blob) } : found.blob
    const replaced = replaceInRow({ key, value: current }, { uid: blob.uid, blob: there })
    if (!replaced) continue
    current = replaced.value
    draft.rows.put(key, current)
    draft.apply(oweShards(whereaboutsOf(key), there))
  }
  return true
}

/** The object of a manifest is no more: what it names is garbage. */
function hasEnded({ rows }: Draft, key: Uint8Array): boolean {
  return key[0] === KeyKind.Manifest && rows.get(manifestEndKey(uidOfParts(key))) !== undefined
}

/** Not one part of a multipart version is left: it was deleted since, not damaged. */
function lostAllParts(draft: Draft, { key, value }: Row): boolean {
  if (key[0] !== KeyKind.Current && key[0] !== KeyKind.Version) return false
  const version = decodeVersionRow(value)
  if (isDeleteMarker(version) || !version.manifest) return false
  const blobs = draft.rows
    .scan(rangeOf(manifestOf(version.manifest.uid)))
    .flatMap((chunk) => decodeManifestRow(chunk.value).flatMap(({ blob }) => (blob ? [blob] : [])))
  if (blobs.length === 0 || blobs.some((blob) => mayBeElsewhere(draft, blob))) return false
  return blobs.every((blob) => draft.find(blob) === undefined)
}

/** Where its shards are, and where they may be: who asked for none of a drive does not know that it has none. */
function drivesOf({ remains: { absent } }: Draft, blob: Blob, found: Blob): number[] {
  return found.drives.map((drive, slot) => {
    const named = blob.drives[slot]
    return drive === MISSING_SLOT && named !== undefined && absent?.has(named) ? named : drive
  })
}

/** Whether drives of which nobody asked for shards could have enough of it: then that none was found says nothing. */
function mayBeElsewhere({ remains: { absent } }: Draft, { code, drives }: Blob): boolean {
  if (absent === undefined) return false
  return drives.filter((drive) => absent.has(drive)).length >= code.dataCount
}

/** A version goes as if it were deleted, so that the one below it comes up. */
async function forget(draft: Draft, { key: rowKey, value }: Row): Promise<void> {
  const kind = rowKey[0]
  if (kind !== KeyKind.Current && kind !== KeyKind.Version) {
    draft.rows.delete(rowKey)
    return
  }
  const state = await draft.stateOf(bucketIdOf(rowKey), keyOfRow(rowKey))
  draft.apply(await removeVersion(state, decodeVersionRow(value), draft.contextAt(0)))
}

/** What the dump says of uploads may be old: they may have been completed since. */
function noteUploads({ uploads, rows }: Draft): void {
  for (const { key: rowKey } of rows.scan(rangeOfKind(KeyKind.Upload))) {
    const { key, uploadId } = parseUploadKey(rowKey)
    const noted = { bucketId: bucketIdOf(rowKey), key: key.toString(), uid: uploadId }
    uploads.set(uploadId, { ...noted, assumed: 'under-way', because: 'dump' })
  }
}

function keyOfRow(rowKey: Uint8Array): string {
  const isHead = rowKey[0] === KeyKind.Current
  return (isHead ? keyOfHead(rowKey) : keyOfVersion(rowKey)).toString()
}
