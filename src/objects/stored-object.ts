// An object that was found: one blob, or the parts of a multipart upload one behind the other.
import type { MetadataPartition } from '../metadata/contract.ts'
import type { ObjectVersion, Part } from '../metadata/records.ts'
import type { ByteRange, PartExtent, StoredObject } from './object-store.ts'
import { readBlob, TooFewShards } from './read-blob.ts'
import type { StoreParts } from './store-parts.ts'

/** Makes the object that a row describes; the list of parts is read only when it is needed. */
export function storedObject(
  version: ObjectVersion,
  metadata: MetadataPartition,
  parts: StoreParts,
): StoredObject {
  let manifest: Promise<Part[]> | undefined
  const loadParts = (): Promise<Part[]> => {
    manifest ??= version.manifest
      ? loadManifest(version.manifest, metadata)
      : Promise.resolve([wholeAsPart(version)])
    return manifest
  }
  return {
    version,
    findPart: async (number) => findExtent(await loadParts(), number),
    listParts: async (after, limit) =>
      version.manifest ? pageOf(await loadParts(), after, limit) : { parts: [], more: false },
    read: (range, signal) => readParts(loadParts, range, parts, signal),
  }
}

/**
 * All parts, or an error: a list that was overwritten long ago is gone, and half of it would be a wrong object.
 * What was appended since the version was found is not part of it.
 */
async function loadManifest(
  { uid, partCount }: NonNullable<ObjectVersion['manifest']>,
  metadata: MetadataPartition,
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

/** Pins every part before the first byte, so that an overwrite takes nothing from under a slow reader. */
async function* readParts(
  loadParts: () => Promise<Part[]>,
  range: ByteRange,
  parts: StoreParts,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const manifest = await loadParts()
  const unpins = manifest.flatMap(({ blob }) => (blob ? [parts.pins.pin(blob.uid)] : []))
  let partStart = 0
  try {
    for (const part of manifest) {
      const first = Math.max(range.first, partStart) - partStart
      const last = Math.min(range.last, partStart + part.bytes - 1) - partStart
      if (part.blob && first <= last) yield* readBlob(part.blob, { first, last }, parts, signal)
      partStart += part.bytes
      if (partStart > range.last) return
    }
  } finally {
    for (const unpin of unpins) unpin()
  }
}
