// Where an object lies and how its shards are: every byte of every shard is read, part by part, until time is up;
// the caller then goes on after the last part.
import type {
  InspectedObject,
  InspectOutcome,
  InspectRequest,
  PartStatus,
  SlotStatus,
} from '../gateway/admin-api.ts'
import { nameCode } from '../kit/erasure-code.ts'
import type { Clock } from '../kit/world.ts'
import { type Blob, isDeleteMarker, MISSING_SLOT } from '../metadata/records.ts'
import {
  type AnyVersion,
  type ObjectStore,
  type StoredObject,
  shownVersionId,
} from '../objects/object-store.ts'
import { checkBlob } from '../storage-node/upkeep/check-blob.ts'
import type { EmbeddedStorage } from './storage.ts'

/** What is needed of the store. */
export interface InspectParts {
  storage: Pick<EmbeddedStorage, 'node' | 'coordinator'> & {
    drives: Pick<EmbeddedStorage['drives'], 'find'>
  }
  objects: Pick<ObjectStore, 'findBucket' | 'find'>
  clock: Pick<Clock, 'now'>
}

/** Parts of one answer: a bound on its length. */
const PARTS_MAX = 100

/** No part is begun after this time: the caller is to see that it goes on. */
const PAGE_MS = 5_000

/** Looks at the parts of a version. Throws the reason of `signal` when that aborts. */
export async function inspectObject(
  request: InspectRequest,
  parts: InspectParts,
  signal: AbortSignal,
): Promise<InspectOutcome> {
  const { key, versionId } = request
  const bucket = parts.objects.findBucket(request.bucket)
  if (bucket === undefined) return { kind: 'no-bucket' }
  const found = await parts.objects.find(bucket, key, versionId)
  switch (found.kind) {
    case 'missing':
      return { kind: versionId === undefined ? 'no-key' : 'no-version' }
    case 'delete-marker':
      return { kind: 'inspected', object: describe(request, found.marker) }
    case 'found': {
      const page = await inspectParts(request, found.object, parts, signal)
      return { kind: 'inspected', object: { ...describe(request, found.object.version), ...page } }
    }
  }
}

function describe({ bucket, key }: InspectRequest, version: AnyVersion): InspectedObject {
  const common = {
    ...{ bucket, key },
    versionId: shownVersionId(version),
    modifiedMs: version.modifiedMs,
    parts: [],
  }
  if (isDeleteMarker(version))
    return { ...common, deleteMarker: true, bytes: 0, encryption: 'none', partCount: 0 }
  const { bytes, etag, checksum, storageClass, encryption, manifest, blob } = version
  return {
    ...common,
    ...{ deleteMarker: false, bytes, etag, storageClass },
    ...(version.unconfirmed ? { unconfirmed: true as const } : {}),
    ...(checksum === undefined ? {} : { checksum }),
    encryption: encryption?.kind ?? 'none',
    partCount: manifest?.partCount ?? (blob === undefined ? 0 : 1),
  }
}

/** A blob of the object, under the number that a reader knows it by. */
interface NumberedBlob {
  number: number
  blob: Blob
}

async function inspectParts(
  { afterPart }: InspectRequest,
  object: StoredObject,
  parts: InspectParts,
  signal: AbortSignal,
): Promise<Pick<InspectedObject, 'parts' | 'nextAfterPart'>> {
  const { blobs, rest } = await listBlobs(object, afterPart)
  const untilMs = parts.clock.now() + PAGE_MS
  const looked: PartStatus[] = []
  for (const blob of blobs) {
    if (looked.length > 0 && parts.clock.now() >= untilMs) break
    looked.push(await inspectPart(blob, parts, signal))
  }
  const next = looked.length < blobs.length ? looked.at(-1)?.number : rest
  return { parts: looked, ...(next === undefined ? {} : { nextAfterPart: next }) }
}

/** A page of blobs; `rest`: more follow after this part. Empty parts have none. */
async function listBlobs(
  object: StoredObject,
  afterPart: number,
): Promise<{ blobs: NumberedBlob[]; rest: number | undefined }> {
  const { blob, manifest } = object.version
  if (manifest === undefined) {
    const isWanted = blob !== undefined && afterPart < 1
    return { blobs: isWanted ? [{ number: 1, blob }] : [], rest: undefined }
  }
  const page = await object.listParts(afterPart, PARTS_MAX)
  const blobs = page.parts.flatMap(({ number, blob }) => (blob ? [{ number, blob }] : []))
  return { blobs, rest: page.more ? page.parts.at(-1)?.number : undefined }
}

async function inspectPart(
  { number, blob }: NumberedBlob,
  { storage }: Pick<InspectParts, 'storage'>,
  signal: AbortSignal,
): Promise<PartStatus> {
  const { node, coordinator, drives } = storage
  const { map } = coordinator.state
  const check = await checkBlob(blob, 'deep', {
    ...{ node, map, awaited: new Set() },
    countRead: () => {},
    pace: async () => signal.throwIfAborted(),
  })
  const slots = check.slots.map((state, slot): SlotStatus => {
    const driveId = check.drives[slot]!
    const path = drives.find(driveId)?.path
    return {
      ...{ slot, state },
      ...(driveId === MISSING_SLOT ? {} : { drive: driveId }),
      ...(path === undefined ? {} : { path }),
    }
  })
  const { uid, bytes, code } = blob
  const health = judgePart(slots, code.dataCount)
  return { number, bytes, code: nameCode(code), uid, health, slots }
}

/** `short` is not yet lost: each stripe may find cells enough among the damaged shards. */
function judgePart(slots: readonly SlotStatus[], needed: number): PartStatus['health'] {
  const whole = slots.filter(({ state }) => state === 'whole').length
  if (whole === slots.length) return 'whole'
  return whole >= needed ? 'degraded' : 'short'
}
