// complete-upload: parts become an object in one step, and no byte of them moves.
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
import { completedKey, manifestKey, uploadKey } from '../rows/keys.ts'
import { encodeManifestRows } from '../rows/manifest-row.ts'
import { decodeUploadRow } from '../rows/upload-row.ts'
import { discardParts } from './become-garbage.ts'
import { checkClaims, totalBytes } from './complete-claims.ts'
import { checkListing, listingDigest } from './complete-listing.ts'
import { checkConditions } from './conditions.ts'
import { type CommandOf, type Context, type Rule, refuse, type View } from './decision.ts'
import { type KeyState, readKey } from './key-state.ts'
import { multipartEtag } from './multipart-digest.ts'
import { putOnTop } from './put-on-top.ts'
import { forgetParts, readParts } from './upload-parts.ts'
import { versionAt } from './version-at.ts'

type CompleteUpload = CommandOf<'complete-upload'>
type Answer = Answers['complete-upload']

/** What Complete finds of the upload and of the object that it replaces. */
interface Found {
  upload: Upload
  uploaded: Part[]
  state: KeyState
}

/** Without repeat(): the row of the completed upload answers all requests that come again, under whatever command id. */
export const completeUpload: Rule<'complete-upload'> = {
  async decide(command, context) {
    assert(command.parts.length > 0, 'a list of no parts was refused before')
    const found = await find(command, context.view)
    if (found.kind !== 'found') return refuse(found)
    const listing = checkListing(command.parts, found)
    if (listing.kind !== 'parts') return refuse(listing)
    const claims = checkClaims(command.claimed, found.upload, listing.parts)
    if (claims.kind !== 'true') return refuse(claims)
    const refused = checkConditions(command.conditions, found.state.current)
    if (refused) return refuse(refused)

    const version = joinParts(command, { ...found, ...listing, ...claims }, context.time)
    const placed = await putOnTop(found.state, version, context)
    if (placed === 'locked') return refuse({ kind: 'locked' })
    const parts = completeParts({ command, version, parts: listing.parts, found }, context)
    const batch = [...placed, ...parts]
    return { kind: 'answer', batch, answer: { kind: 'done', version } }
  },
}

async function find(
  command: CompleteUpload,
  view: View,
): Promise<({ kind: 'found' } & Found) | Answer> {
  const { bucket, uploadId } = command
  const key = Buffer.from(command.key)
  const [state, completed, upload] = await Promise.all([
    // It throws where its rows are at hand and can not be understood: then no read may have begun that nobody hears of.
    readKey(command, view),
    view.get(completedKey(uploadId)),
    view.get(uploadKey(bucket.id, key, uploadId)),
  ])
  if (completed) return repeatCompleted(command, decodeCompletedRow(completed))
  if (state === 'bucket-gone') return { kind: 'bucket-gone' }
  if (!upload) return { kind: 'no-upload' }
  return {
    kind: 'found',
    upload: decodeUploadRow(upload, uploadId),
    uploaded: await readParts(view, uploadId),
    state,
  }
}

/** The same list gets the same answer; any other finds no upload any more. */
function repeatCompleted(command: CompleteUpload, { listing, version }: CompletedUpload): Answer {
  const isSame = Buffer.compare(listing, listingDigest(command)) === 0
  return isSame ? { kind: 'done', version } : { kind: 'no-upload' }
}

function joinParts(
  command: CompleteUpload,
  { upload, parts, checksum }: { upload: Upload; parts: Part[]; checksum: Checksum | undefined },
  time: bigint,
): ObjectVersion {
  const { uploadId, initiatedMs: _, checksumAlgorithm, checksumType, ...attributes } = upload
  const retention = upload.retention ?? command.defaultRetention
  const version = {
    ...attributes,
    ...(retention ? { retention } : {}),
    bytes: totalBytes(parts),
    etag: multipartEtag(parts),
    ...(checksum ? { checksum } : {}),
    // Also for one part: its boundary is asked for (pitfall 74).
    manifest: { uid: uploadId, partCount: parts.length },
  }
  return versionAt(version, command, time)
}

/** Changes that turn the upload into the object's manifest. */
function completeParts(
  {
    command,
    version,
    parts,
    found,
  }: { command: CompleteUpload; version: ObjectVersion; parts: Part[]; found: Found },
  context: Context,
): RowBatch {
  const { bucket, uploadId } = command
  const key = Buffer.from(command.key)
  const taken = new Set(parts.map(({ number }) => number))
  const unused = found.uploaded.filter(({ number }) => !taken.has(number))
  const completed = { version, listing: listingDigest(command), completedMs: context.nowMs }
  return [
    ...encodeManifestRows(parts).map((value, chunk) => ({
      key: manifestKey(uploadId, chunk),
      value,
    })),
    { key: completedKey(uploadId), value: encodeCompletedRow(completed) },
    { key: uploadKey(bucket.id, key, uploadId), value: undefined },
    ...forgetParts(uploadId, found.uploaded),
    ...discardParts(bucket.id, unused, context),
  ]
}
