// An object that was found: one blob, or the parts of a multipart upload one behind the other.
import type { ReachablePartition } from '../metadata/contract.ts'
import {
  type Annotation,
  type AnyVersion,
  type Blob,
  type Encryption,
  isDeleteMarker,
  type ObjectVersion,
  type Part,
  stateIdOf,
} from '../metadata/records.ts'
import { findAnnotation, readAnnotation } from './annotations.ts'
import { TooFewShards } from './blob-shards.ts'
import { findCached, readCached } from './cached-read.ts'
import { likeBefore, openSealing, type Sealing } from './data-keys.ts'
import { readEncrypted } from './decrypt-read.ts'
import type {
  ByteRange,
  CustomerKey,
  PartExtent,
  Redescribed,
  StoredObject,
  Waiter,
} from './object-store.ts'
import { type PartReader, readParts } from './read-parts.ts'
import type { StoreParts } from './store-parts.ts'

/** Where an object was found, and how to look again. */
export interface FoundIn {
  metadata: ReachablePartition
  /** The version of that id as it is now. */
  lookAgain(versionId: string): Promise<AnyVersion | undefined>
}

/** Makes the object that a row describes; the list of parts is read only when it is needed. */
export function storedObject(
  version: ObjectVersion,
  found: FoundIn,
  parts: StoreParts,
): StoredObject {
  return new FoundObject(version, found, parts)
}

/** A class, because most requests find an object and few ask it for more than one thing. */
class FoundObject implements StoredObject {
  readonly version: ObjectVersion
  readonly #found: FoundIn
  readonly #parts: StoreParts
  #manifest: Promise<Part[]> | undefined

  constructor(version: ObjectVersion, found: FoundIn, parts: StoreParts) {
    this.version = version
    this.#found = found
    this.#parts = parts
  }

  describeAgain(customerKey?: CustomerKey): Redescribed {
    return describeAgain(this, customerKey)
  }

  async isUnchanged(): Promise<boolean> {
    const now = await this.#found.lookAgain(this.version.versionId)
    return now !== undefined && !isDeleteMarker(now) && stateIdOf(now) === stateIdOf(this.version)
  }

  async listAnnotations(
    scan: Parameters<StoredObject['listAnnotations']>[0],
  ): ReturnType<StoredObject['listAnnotations']> {
    const { annotationsId } = this.version
    if (annotationsId === undefined) return { annotations: [], more: false }
    return await this.#found.metadata.scanAnnotations(annotationsId, scan)
  }

  findAnnotation(name: string): ReturnType<StoredObject['findAnnotation']> {
    return findAnnotation(this.version, name, this.#found.metadata)
  }

  readAnnotation(annotation: Annotation, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return readAnnotation(annotation, this.version.encryption, this.#parts, signal)
  }

  async findPart(number: number): Promise<PartExtent | undefined> {
    return findExtent(await this.#loadParts(), number)
  }

  async listParts(after: number, limit: number): Promise<{ parts: Part[]; more: boolean }> {
    if (!this.version.manifest) return { parts: [], more: false }
    return pageOf(await this.#loadParts(), after, limit)
  }

  readAtHand(range: ByteRange): Uint8Array | undefined {
    const blob = plainBlobOf(this.version)
    return blob && findCached(blob, range, this.#parts.blobCache)
  }

  read(range: ByteRange, waiter: Waiter, customerKey?: CustomerKey): AsyncIterable<Uint8Array> {
    const reader = openReader(this.version.encryption, customerKey, this.#parts)
    const { manifest, blob } = this.version
    // One blob is read as it is: a generator around it would cost as much again for each chunk.
    if (!manifest && blob) return reader({ ...wholeAsPart(this.version), blob }, range, waiter)
    const loadParts = (): Promise<Part[]> => this.#loadParts()
    return readParts({ loadParts, reader, pins: this.#parts.pins }, range, waiter)
  }

  #loadParts(): Promise<Part[]> {
    const { version } = this
    this.#manifest ??= version.manifest
      ? loadManifest(version.manifest, this.#found.metadata)
      : Promise.resolve([wholeAsPart(version)])
    return this.#manifest
  }
}

/** The blob whose bytes are those of the object; undefined where they are several, encrypted, or none. */
export function plainBlobOf({ manifest, blob, encryption }: ObjectVersion): Blob | undefined {
  return manifest || encryption ? undefined : blob
}

/** As StoredObject has it. */
export function describeAgain(
  object: StoredObject,
  customerKey: CustomerKey | undefined,
): Redescribed {
  const { headers, userMetadata, storageClass, tags, encryption } = object.version
  return {
    attributes: { headers, userMetadata, storageClass, ...(tags ? { tags } : {}) },
    ...(encryption ? { encryption: likeBefore(encryption, customerKey) } : {}),
    annotationsOf: object,
  }
}

/**
 * All parts, or an error: a list that was overwritten long ago is gone, and half of it would be a wrong object.
 * What was appended since the version was found is not part of it.
 */
async function loadManifest(
  { uid, partCount }: NonNullable<ObjectVersion['manifest']>,
  metadata: ReachablePartition,
): Promise<Part[]> {
  const manifest = await metadata.getManifest(uid)
  if (manifest.length < partCount) {
    throw new TooFewShards(`manifest ${uid} has ${manifest.length} of ${partCount} parts`)
  }
  return manifest.slice(0, partCount)
}

/** Parts are numbered by their place in the list, as AWS does when the upload is complete. */
function pageOf(
  parts: readonly Part[],
  after: number,
  limit: number,
): { parts: Part[]; more: boolean } {
  const rest = parts.map((part, index) => ({ ...part, number: index + 1 })).slice(after)
  return { parts: rest.slice(0, limit), more: rest.length > limit }
}

/** A plain object is its own only part. */
function wholeAsPart(version: ObjectVersion): Part {
  const { bytes, etag, modifiedMs, checksum, blob } = version
  return {
    number: 1,
    bytes,
    etag,
    modifiedMs,
    ...(checksum ? { checksum } : {}),
    ...(blob ? { blob } : {}),
  }
}

/** Parts are counted by their place in the list, as AWS does for `partNumber`. */
function findExtent(parts: readonly Part[], number: number): PartExtent | undefined {
  const part = parts[number - 1]
  if (!part) return undefined
  const firstByte = parts.slice(0, number - 1).reduce((sum, { bytes }) => sum + bytes, 0)
  const { bytes, checksum } = part
  return { number, partCount: parts.length, firstByte, bytes, ...(checksum ? { checksum } : {}) }
}

/** All parts of an encrypted object have the same data key: it is unwrapped once, when the first byte is asked for. */
function openReader(
  encryption: Encryption | undefined,
  customerKey: CustomerKey | undefined,
  parts: StoreParts,
): PartReader {
  if (!encryption) return ({ blob }, range, waiter) => readCached(blob, range, parts, waiter)
  let opening: Promise<Sealing> | undefined
  return async function* ({ blob, bytes }, range, waiter) {
    opening ??= openSealing(encryption, customerKey, parts)
    const { dataKey } = await opening
    yield* readEncrypted({ blob, plainBytes: bytes, dataKey }, range, parts, waiter)
  }
}
