// complete-upload: parts become an object in one step, and no byte of them moves (storage.md 4.5).
// Not by an answer row but by the row of the completed upload it stays idempotent: clients repeat Complete
// with new requests, days later.
import { assert } from '../../kit/assert.ts'
import type { Answers } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import type { Checksum, ObjectVersion, Part, Upload } from '../records.ts'
import {
  type CompletedUpload,
  decodeCompletedRow,
  encodeCompletedRow,
} from '../rows/completed-row.ts'
import { completedKey, currentKey, manifestKey, uploadKey } from '../rows/keys.ts'
import { encodeManifestRows } from '../rows/manifest-row.ts'
import { decodeObjectRow, encodeObjectRow } from '../rows/object-row.ts'
import { decodeUploadRow } from '../rows/upload-row.ts'
import { discardParts, discardVersion } from './become-garbage.ts'
import { refusesCommands } from './bucket-gate.ts'
import { checkClaims, totalBytes } from './complete-claims.ts'
import { checkListing, listingDigest } from './complete-listing.ts'
import { checkConditions } from './conditions.ts'
import { type CommandOf, type Context, type Rule, refuse, type View } from './decision.ts'
import { multipartEtag } from './multipart-digest.ts'
import { forgetParts, readParts } from './upload-parts.ts'
import { versionAt } from './version-at.ts'

type CompleteUpload = CommandOf<'complete-upload'>
type Answer = Answers['complete-upload']

/** What Complete finds of the upload and of the object that it replaces. */
interface Found {
  upload: Upload
  uploaded: Part[]
  current: ObjectVersion | undefined
}

export const completeUpload: Rule<'complete-upload'> = {
  async decide(command, context) {
    assert(command.parts.length > 0, 'a list of no parts was refused before')
    const found = await find(command, context.view)
    if (found.kind !== 'found') return refuse(found)
    const listing = checkListing(command.parts, found.uploaded)
    if (listing.kind !== 'parts') return refuse(listing)
    const claims = checkClaims(command.claimed, found.upload, listing.parts)
    if (claims.kind !== 'true') return refuse(claims)
    const refused = checkConditions(command.conditions, found.current)
    if (refused) return refuse(refused)

    const version = joinParts(command, { ...found, ...listing, ...claims }, context.time)
    const batch = await completeBatch({ command, version, parts: listing.parts, found }, context)
    return { kind: 'answer', batch, answer: { kind: 'done', version } }
  },
}

async function find(
  command: CompleteUpload,
  view: View,
): Promise<({ kind: 'found' } & Found) | Answer> {
  const { bucket, uploadId } = command
  const key = Buffer.from(command.key)
  const [completed, gone, upload, current] = await Promise.all([
    view.get(completedKey(uploadId)),
    refusesCommands(view, bucket),
    view.get(uploadKey(bucket.id, key, uploadId)),
    view.get(currentKey(bucket.id, key)),
  ])
  if (completed) return repeatCompleted(command, decodeCompletedRow(completed))
  if (gone) return { kind: 'bucket-gone' }
  if (!upload) return { kind: 'no-upload' }
  return {
    kind: 'found',
    upload: decodeUploadRow(upload, uploadId),
    uploaded: await readParts(view, uploadId),
    current: current && decodeObjectRow(current),
  }
}

/** The same list gets the same answer; any other finds no upload any more. */
function repeatCompleted(command: CompleteUpload, { listing, version }: CompletedUpload): Answer {
  const isSame = Buffer.compare(listing, listingDigest(command)) === 0
  return isSame ? { kind: 'done', version } : { kind: 'no-upload' }
}

function joinParts(
  { commandId, uploadId }: CompleteUpload,
  { upload, parts, checksum }: { upload: Upload; parts: Part[]; checksum: Checksum | undefined },
  time: bigint,
): ObjectVersion {
  const { headers, userMetadata, storageClass } = upload
  const version = {
    headers,
    userMetadata,
    storageClass,
    bytes: totalBytes(parts),
    etag: multipartEtag(parts),
    ...(checksum ? { checksum } : {}),
    // Also for one part: its boundary is asked for (s3-wire 74).
    manifest: { uid: uploadId, partCount: parts.length },
  }
  return versionAt(version, commandId, time)
}

async function completeBatch(
  {
    command,
    version,
    parts,
    found,
  }: { command: CompleteUpload; version: ObjectVersion; parts: Part[]; found: Found },
  context: Context,
): Promise<RowBatch> {
  const { bucket, uploadId } = command
  const key = Buffer.from(command.key)
  const taken = new Set(parts.map(({ number }) => number))
  const unused = found.uploaded.filter(({ number }) => !taken.has(number))
  const completed = { version, listing: listingDigest(command), completedMs: context.nowMs }
  const { current } = found
  return [
    { key: currentKey(bucket.id, key), value: encodeObjectRow(version) },
    ...encodeManifestRows(parts).map((value, chunk) => ({
      key: manifestKey(uploadId, chunk),
      value,
    })),
    { key: completedKey(uploadId), value: encodeCompletedRow(completed) },
    { key: uploadKey(bucket.id, key, uploadId), value: undefined },
    ...forgetParts(uploadId, found.uploaded),
    ...discardParts(bucket.id, unused, context),
    ...(current ? await discardVersion(bucket.id, current, context) : []),
  ]
}
