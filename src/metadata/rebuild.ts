// The rows of a partition made again when all its replicas are lost: from the last dump, if there is one, and from what
// shards say of themselves. What is made from shards alone is marked `unconfirmed`: a write that was refused looks like one
// that was committed, and what was deleted since the dump may be there again (docs/guides/recovery.md). Pure.
import { asBuffer, compareBytes } from '../kit/bytes.ts'
import { type Uid, uidTimeMs } from '../kit/uid.ts'
import { oweShards } from './commands/become-garbage.ts'
import type { Context, Row } from './commands/decision.ts'
import { type KeyState, readKey } from './commands/key-state.ts'
import { versionIdAt } from './commands/log-time.ts'
import { multipartChecksum, multipartEtag } from './commands/multipart-digest.ts'
import { putOnTop } from './commands/put-on-top.ts'
import { removeVersion } from './commands/remove-version.ts'
import type { Label } from './label.ts'
import type { RowBatch, RowRange } from './log/contract.ts'
import {
  type Blob,
  type BucketId,
  isDeleteMarker,
  MISSING_SLOT,
  type ObjectAttributes,
  type ObjectVersion,
  type Part,
} from './records.ts'
import { moveInRow, referencesIn, whereaboutsOf } from './rows/blob-rows.ts'
import { encodeClockRow } from './rows/clock-row.ts'
import { decodeGarbageRow } from './rows/garbage-row.ts'
import {
  bucketIdOf,
  CLOCK_KEY,
  completedKey,
  KeyKind,
  keyOfHead,
  keyOfVersion,
  manifestEndKey,
  manifestKey,
  manifestOf,
  partKey,
  rangeOf,
  uidOfParts,
  uploadKey,
} from './rows/keys.ts'
import { decodeManifestRow, encodeManifestRows } from './rows/manifest-row.ts'
import { decodePartRow, encodePartRow } from './rows/part-row.ts'
import { encodeUploadRow } from './rows/upload-row.ts'
import { decodeVersionRow } from './rows/version-row.ts'

/** A blob as its shards tell of it. */
export interface FoundBlob {
  bucketId: BucketId
  key: string
  /** Its drives are those on which a whole header and tail were found. */
  blob: Blob
  /** Length before encryption. */
  plainBytes: number
  label: Label
}

/** What is left of a partition. */
export interface Remains {
  /** Absent: there is none. */
  dump?: { takenMs: number; rows: readonly Row[] }
  blobs: readonly FoundBlob[]
  /** Of buckets that exist: whether they keep versions. */
  buckets: ReadonlyMap<BucketId, { versioned: boolean }>
  nowMs: number
}

/** Something that people are to know, by name as far as it has one. */
export interface Noted {
  bucketId?: BucketId
  key?: string
  uid?: Uid
}

/** What was made, and what can not be known. */
export interface RebuildReport {
  /** Rows that the dump had. */
  dumpedRows: number
  /** Versions made from shards alone. */
  unconfirmed: number
  /** Named by the dump, but no shard is left: deleted or overwritten since, or lost. */
  gone: Noted[]
  /** Too few shards are left to read them. */
  damaged: Noted[]
  /** Parts are there, but the key has an object, or some part in between is missing or damaged: the upload is under way again. */
  uploads: Noted[]
  /** Appends, annotations and blobs without a label: their shards stay, no row names them. */
  unplaced: Noted[]
  /** Shards of buckets that are no more. */
  strangers: number
}

/** A blob that was there so long before the dump and that no row of it names was garbage then. */
const SURELY_GARBAGE_MS = 24 * 60 * 60 * 1000

/** Makes the rows, in order of key. */
export async function rebuildRows(
  remains: Remains,
): Promise<{ rows: Row[]; report: RebuildReport }> {
  const rebuild = new Rebuild(remains)
  await rebuild.takeDump()
  await rebuild.takeBlobs()
  return rebuild.finish()
}

class Rebuild {
  readonly #remains: Remains
  readonly #rows = new Map<string, Row>()
  readonly #blobs: ReadonlyMap<string, FoundBlob>
  /** Named by a row of the dump, or known by it to be garbage. */
  readonly #used = new Set<string>()
  readonly #report: RebuildReport = {
    ...{ dumpedRows: 0, unconfirmed: 0, strangers: 0 },
    ...{ gone: [], damaged: [], uploads: [], unplaced: [] },
  }

  constructor(remains: Remains) {
    this.#remains = remains
    this.#blobs = new Map(remains.blobs.map((found) => [nameOf(found.blob), found]))
  }

  /** Rows of the dump, with blobs where they are now. */
  async takeDump(): Promise<void> {
    for (const row of this.#remains.dump?.rows ?? []) {
      this.#report.dumpedRows += 1
      const kind = row.key[0]
      // Commands of back then are not sent again, and what is owed is found anew.
      if (kind === KeyKind.Answer || kind === KeyKind.Repair) continue
      if (kind === KeyKind.Garbage) this.#used.add(nameOf(decodeGarbageRow(row.value, 0).blob))
      this.#put(row.key, row.value)
    }
    for (const row of [...this.#rows.values()]) await this.#settle(row)
  }

  /** What was written since the dump, in the order of its uids. */
  async takeBlobs(): Promise<void> {
    const { dump, blobs, buckets } = this.#remains
    const uploads = new Map<Uid, FoundBlob[]>()
    const objects: FoundBlob[] = []
    for (const found of blobs) {
      if (this.#used.has(nameOf(found.blob))) continue
      if (!buckets.has(found.bucketId)) this.#report.strangers += 1
      else if (dump && uidTimeMs(found.blob.uid) < dump.takenMs - SURELY_GARBAGE_MS) continue
      else if (found.label.role.kind === 'part') {
        const { uploadId } = found.label.role
        uploads.set(uploadId, [...(uploads.get(uploadId) ?? []), found])
      } else if (!isReadable(found.blob)) this.#report.damaged.push(noteOf(found))
      else if (found.label.role.kind === 'object') objects.push(found)
      else this.#report.unplaced.push(noteOf(found))
    }
    const steps = [
      ...objects.map((found) => ({ at: found.blob.uid, run: () => this.#placeObject(found) })),
      ...[...uploads].map(([uploadId, parts]) => ({
        at: parts
          .map(({ blob }) => blob.uid)
          .sort()
          .at(-1)!,
        run: () => this.#placeUpload(uploadId, parts),
      })),
    ].sort((left, right) => (left.at < right.at ? -1 : 1))
    for (const { run } of steps) await run()
  }

  finish(): { rows: Row[]; report: RebuildReport } {
    const time = BigInt(Math.floor(this.#remains.nowMs)) << 16n
    this.#put(CLOCK_KEY, encodeClockRow(time))
    const rows = [...this.#rows.values()].sort((left, right) => compareBytes(left.key, right.key))
    return { rows, report: this.#report }
  }

  /** Where the blobs of a row are now; the row goes when nothing is left of what it names. */
  async #settle({ key, value }: Row): Promise<void> {
    if (!this.#rows.has(textOf(key)) || this.#hasEnded(key)) return
    if (this.#lostAllParts({ key, value })) {
      this.#report.gone.push({ bucketId: bucketIdOf(key), key: keyOfRow(key) })
      await this.#forget({ key, value })
      return
    }
    let current = value
    for (const { blob, bucketId, key: objectKey } of referencesIn({ key, value })) {
      this.#used.add(nameOf(blob))
      const found = this.#blobs.get(nameOf(blob))
      const noted = {
        ...(bucketId === undefined ? {} : { bucketId, key: objectKey! }),
        uid: blob.uid,
      }
      if (!found) {
        this.#report[key[0] === KeyKind.Manifest ? 'damaged' : 'gone'].push(noted)
        if (key[0] !== KeyKind.Manifest) await this.#forget({ key, value })
        continue
      }
      if (!isReadable(found.blob)) this.#report.damaged.push(noted)
      const { drives } = found.blob
      const move = { uid: blob.uid, part: blob.part, from: blob.drives, drives }
      const moved = moveInRow({ key, value: current }, move)
      if (!moved) continue
      current = moved.value
      this.#put(key, current)
      this.#apply(oweShards(whereaboutsOf(key), moved.after))
    }
  }

  /** The object of a manifest is no more: what it names is garbage. */
  #hasEnded(key: Uint8Array): boolean {
    return key[0] === KeyKind.Manifest && this.#rows.has(textOf(manifestEndKey(uidOfParts(key))))
  }

  /** Not one part of a multipart version is left: it was deleted since, not damaged. */
  #lostAllParts({ key, value }: Row): boolean {
    if (key[0] !== KeyKind.Current && key[0] !== KeyKind.Version) return false
    const version = decodeVersionRow(value)
    if (isDeleteMarker(version) || !version.manifest) return false
    const chunks = this.#scan(rangeOf(manifestOf(version.manifest.uid)))
    const blobs = chunks.flatMap(({ value }) =>
      decodeManifestRow(value).flatMap(({ blob }) => (blob ? [blob] : [])),
    )
    return blobs.length > 0 && blobs.every((blob) => !this.#blobs.has(nameOf(blob)))
  }

  /** A version goes as if it were deleted, so that the one below it comes up. */
  async #forget({ key: rowKey, value }: Row): Promise<void> {
    const kind = rowKey[0]
    if (kind !== KeyKind.Current && kind !== KeyKind.Version) {
      this.#rows.delete(textOf(rowKey))
      return
    }
    const state = await this.#stateOf(bucketIdOf(rowKey), keyOfRow(rowKey))
    const context = this.#contextAt(0)
    this.#apply(await removeVersion(state, decodeVersionRow(value), context))
  }

  async #placeObject(found: FoundBlob): Promise<void> {
    const { blob, plainBytes, label } = found
    const { facts, role } = label
    if (!facts || role.kind !== 'object') {
      this.#report.unplaced.push(noteOf(found))
      return
    }
    const { etag, checksum } = facts
    await this.#placeVersion(found, uidTimeMs(blob.uid), role.versioned, {
      ...attributesOf(label),
      ...{ bytes: plainBytes, etag, blob },
      ...(checksum ? { checksum } : {}),
      ...(label.encryption ? { encryption: label.encryption } : {}),
    })
  }

  /** All parts together, as if they had all been listed. */
  async #placeUpload(uploadId: Uid, found: readonly FoundBlob[]): Promise<void> {
    const first = found[0]!
    const { bucketId, key, label } = first
    // Completed before the dump: what it did not take was garbage.
    if (this.#rows.has(textOf(completedKey(uploadId)))) return
    const parts = this.#partsOf(uploadId, found)
    if (parts.length === 0) {
      this.#report.unplaced.push(noteOf(first))
      return
    }
    const state = await this.#stateOf(bucketId, key)
    const versioned = this.#remains.buckets.get(bucketId)?.versioned === true
    const isShadowing = !versioned && state.current !== undefined && state.current.bytes > 0
    for (const part of found) if (!isReadable(part.blob)) this.#report.damaged.push(noteOf(part))
    if (isShadowing || !isWhole(found, parts)) {
      this.#resumeUpload(uploadId, first, parts)
      return
    }
    this.#rows.delete(textOf(uploadKey(bucketId, Buffer.from(key), uploadId)))
    for (const { number } of parts) this.#rows.delete(textOf(partKey(uploadId, number)))
    for (const [chunk, value] of encodeManifestRows(parts).entries()) {
      const rowKey = manifestKey(uploadId, chunk)
      this.#put(rowKey, value)
      for (const { blob } of decodeManifestRow(value)) this.#apply(oweShards({ rowKey }, blob))
    }
    const atMs = Math.max(...found.map(({ blob }) => uidTimeMs(blob.uid)))
    const checksum = checksumOf(label, parts)
    await this.#placeVersion(first, atMs, versioned, {
      ...attributesOf(label),
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      etag: multipartEtag(parts),
      manifest: { uid: uploadId, partCount: parts.length },
      ...(checksum ? { checksum } : {}),
      ...(label.encryption ? { encryption: label.encryption } : {}),
    })
  }

  /** Parts of the dump and those found since; of two with one number the later. */
  #partsOf(uploadId: Uid, found: readonly FoundBlob[]): Part[] {
    const parts = new Map<number, Part>()
    for (const row of this.#scan({ from: partKey(uploadId, 0), to: partKey(uploadId, 0xffff) })) {
      const part = decodePartRow(row.value)
      parts.set(part.number, part)
    }
    const ordered = [...found].sort((left, right) => (left.blob.uid < right.blob.uid ? -1 : 1))
    for (const { blob, plainBytes, label } of ordered) {
      if (!label.facts) continue
      const { etag, checksum } = label.facts
      const modifiedMs = uidTimeMs(blob.uid)
      parts.set(blob.part, {
        ...{ number: blob.part, bytes: plainBytes, etag, modifiedMs, blob },
        ...(checksum ? { checksum } : {}),
      })
    }
    return [...parts.values()].sort((left, right) => left.number - right.number)
  }

  #resumeUpload(uploadId: Uid, first: FoundBlob, parts: readonly Part[]): void {
    const { bucketId, key, label } = first
    const { encryption, role } = label
    const declared = role.kind === 'part' ? role : undefined
    const { checksumAlgorithm, checksumType } = declared ?? {}
    this.#report.uploads.push({ bucketId, key, uid: uploadId })
    const upload = {
      ...attributesOf(label),
      ...{ uploadId, initiatedMs: uidTimeMs(uploadId) },
      ...(checksumAlgorithm ? { checksumAlgorithm } : {}),
      ...(checksumType ? { checksumType } : {}),
      ...(encryption ? { encryption } : {}),
    }
    this.#put(uploadKey(bucketId, Buffer.from(key), uploadId), encodeUploadRow(upload))
    for (const part of parts) {
      this.#put(partKey(uploadId, part.number), encodePartRow(part))
      this.#apply(oweShards({ bucketId, key, uploadId }, part.blob))
    }
  }

  /** Puts a version over what the key has, if it is the later one. */
  async #placeVersion(
    { bucketId, key, blob }: FoundBlob,
    atMs: number,
    versioned: boolean,
    made: Omit<ObjectVersion, 'versionId' | 'modifiedMs'>,
  ): Promise<void> {
    const state = await this.#stateOf(bucketId, key)
    const head = state.head?.version
    // Written before what the dump knows as the latest: it was overwritten, deleted or refused.
    if (head && head.modifiedMs > atMs) return
    const time = BigInt(atMs) << 16n
    const version: ObjectVersion = {
      ...made,
      ...{ versionId: versionIdAt(time, blob.uid), modifiedMs: atMs, unconfirmed: true as const },
      ...(versioned ? { versioned: true as const } : {}),
    }
    const placed = await putOnTop(state, version, this.#contextAt(atMs))
    if (placed === 'locked') {
      this.#report.unplaced.push({ bucketId, key, uid: blob.uid })
      return
    }
    this.#report.unconfirmed += 1
    this.#apply(placed)
    this.#apply(oweShards({ bucketId, key }, version.blob))
  }

  async #stateOf(bucketId: BucketId, key: string): Promise<KeyState> {
    const bucket = {
      id: bucketId,
      revision: Number.MAX_SAFE_INTEGER,
      versioning: 'enabled',
    } as const
    const state = await readKey({ bucket, key }, this.#contextAt(0).view)
    if (state !== 'bucket-gone') return state
    return { bucketId, key: Buffer.from(key), head: undefined, current: undefined }
  }

  #contextAt(nowMs: number): Context {
    return {
      view: {
        get: async (key) => this.#rows.get(textOf(key))?.value,
        scan: async (range, limit) => this.#scan(range).slice(0, limit),
      },
      ...{ time: BigInt(nowMs) << 16n, nowMs },
      garbage: { graceMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY },
    }
  }

  /** Nothing becomes garbage here: what a version gives up stays on the drives, unnamed. */
  #apply(batch: RowBatch): void {
    for (const { key, value } of batch) {
      if (value === undefined) this.#rows.delete(textOf(key))
      else if (key[0] !== KeyKind.Garbage) this.#put(key, value)
    }
  }

  #put(key: Uint8Array, value: Uint8Array): void {
    this.#rows.set(textOf(key), { key, value })
  }

  #scan({ from, to }: RowRange): Row[] {
    return [...this.#rows.values()]
      .filter(({ key }) => compareBytes(key, from) >= 0 && compareBytes(key, to) < 0)
      .sort((left, right) => compareBytes(left.key, right.key))
  }
}

function keyOfRow(rowKey: Uint8Array): string {
  const isHead = rowKey[0] === KeyKind.Current
  return (isHead ? keyOfHead(rowKey) : keyOfVersion(rowKey)).toString()
}

/** Whether nothing is missing in the middle: an object is never made of some of its parts. */
function isWhole(found: readonly FoundBlob[], parts: readonly Part[]): boolean {
  const latest = new Map<number, FoundBlob>()
  for (const one of found) {
    const { part, uid } = one.blob
    if ((latest.get(part)?.blob.uid ?? '') < uid) latest.set(part, one)
  }
  return (
    [...latest.values()].every(({ label, blob }) => label.facts && isReadable(blob)) &&
    parts.every(({ number, blob }, index) => number === index + 1 && (!blob || isReadable(blob)))
  )
}

/** Attributes that had no room are gone. */
function attributesOf({ attributes }: Label): ObjectAttributes {
  return attributes ?? { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
}

function checksumOf({ role }: Label, parts: readonly Part[]): ObjectVersion['checksum'] {
  if (role.kind !== 'part') return undefined
  const algorithm = role.checksumAlgorithm ?? 'CRC64NVME'
  const type = role.checksumType ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE')
  return multipartChecksum(algorithm, type, parts)
}

/** Whether as many shards are there as its bytes are made of. */
function isReadable({ code, drives }: Blob): boolean {
  return drives.filter((drive) => drive !== MISSING_SLOT).length >= code.dataCount
}

function nameOf({ uid, part }: Pick<Blob, 'uid' | 'part'>): string {
  return `${uid}.${part}`
}

function noteOf({ bucketId, key, blob }: FoundBlob): Noted {
  return { bucketId, key, uid: blob.uid }
}

function textOf(key: Uint8Array): string {
  return asBuffer(key).toString('latin1')
}
