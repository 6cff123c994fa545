// Uploads that nobody goes on with: their parts take room and are in no listing of objects. S3 keeps them for ever, so
// they are aborted only where somebody asked for it, by the same command as a client's.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { Clock } from '../kit/world.ts'
import type { Upload } from '../metadata/records.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { Bucket } from './object-store.ts'
import type { Objects } from './objects.ts'

/** Uploads and parts asked for at once: a bound on memory. */
const PAGE = 1000

/** Where uploads are found and aborted, what time it is, and who is told. */
export interface AbandonedParts {
  objects: Pick<Objects, 'listBuckets' | 'listUploads' | 'listParts' | 'abortIdleUpload'>
  clock: Pick<Clock, 'now'>
  log: Log
}

/** How often uploads are looked through, at most. */
const ABORT_EVERY_MS = 60 * 60_000

/** Aborts abandoned uploads from time to time. */
export function abortRegularly(
  afterMs: number,
  {
    coordinator,
    ...parts
  }: AbandonedParts & { clock: Clock; coordinator: Pick<Coordinator, 'state'> },
): Periodic {
  const everyMs = Math.min(ABORT_EVERY_MS, afterMs)
  const abort = async (signal: AbortSignal): Promise<void> => {
    // After a recovery an upload that was completed may be under way again: its parts are the object.
    if (coordinator.state.orphanHold) return
    await abortAbandoned(afterMs, parts, signal)
  }
  return repeat('abort-uploads', everyMs, abort, parts)
}

/** Aborts every upload that neither began nor got a part for `afterMs`; returns how many. */
export async function abortAbandoned(
  afterMs: number,
  parts: AbandonedParts,
  signal: AbortSignal,
): Promise<number> {
  const idleSinceMs = parts.clock.now() - afterMs
  let aborted = 0
  for (const bucket of parts.objects.listBuckets()) {
    for await (const { key, upload } of uploadsOf(bucket, parts)) {
      if (signal.aborted) return aborted
      if (upload.initiatedMs >= idleSinceMs) continue
      if (await gotPartSince(idleSinceMs, { bucket, key, upload }, parts)) continue
      const { uploadId, initiatedMs } = upload
      // Asked again in the order of the log: a part that came just now saves the upload.
      if (!(await parts.objects.abortIdleUpload(bucket, key, uploadId, idleSinceMs))) continue
      aborted += 1
      parts.log.info(
        { bucket: bucket.name, key, uploadId, initiatedMs },
        'an abandoned upload was aborted',
      )
    }
  }
  return aborted
}

interface FoundUpload {
  key: string
  upload: Upload
}

async function* uploadsOf(
  bucket: Bucket,
  { objects }: AbandonedParts,
): AsyncGenerator<FoundUpload> {
  let from = { after: '', afterUploadId: '' }
  for (;;) {
    const { entries, last } = await objects.listUploads({
      ...{ bucket, prefix: '', delimiter: '', limit: PAGE },
      ...from,
    })
    for (const entry of entries) {
      if (entry.kind !== 'entry') continue
      yield { key: entry.key, upload: entry.record }
      from = { after: entry.key, afterUploadId: entry.record.uploadId }
    }
    if (last === undefined) return
  }
}

async function gotPartSince(
  sinceMs: number,
  { bucket, key, upload }: FoundUpload & { bucket: Bucket },
  { objects }: AbandonedParts,
): Promise<boolean> {
  let after = 0
  for (;;) {
    const { parts, more } = await objects.listParts(bucket, key, upload.uploadId, after, PAGE)
    if (parts.some(({ modifiedMs }) => modifiedMs >= sinceMs)) return true
    if (!more) return false
    after = parts.at(-1)!.number
  }
}
