// Appends: an object grows by a part, however long it is already. Where versions are kept it is written anew: an
// old version and its successor must not share bytes, or deleting one would take them from the other.
import { type CrcName, combineCrc } from '../digest/combine.ts'
import { digestOf } from '../digest/digest.ts'
import { digestPassing } from '../digest/digest-passing.ts'
import { newUid } from '../kit/uid.ts'
import {
  type Checksum,
  type ObjectVersion,
  PARTS_MAX,
  type Part,
  stateIdOf,
} from '../metadata/records.ts'
import { SourceChanged } from './annotations.ts'
import { openSealing } from './data-keys.ts'
import type { MetadataClient } from './metadata-client.ts'
import type {
  AppendOutcome,
  AppendRequest,
  Body,
  ObjectStore,
  PutRequest,
  StoredObject,
} from './object-store.ts'
import { commitStored, storeBody } from './store-body.ts'
import type { StoreParts } from './store-parts.ts'

/** What an append is done with. */
interface AppendTools {
  objects: Pick<ObjectStore, 'find' | 'put'>
  metadata: MetadataClient
  parts: StoreParts
}

/** Puts bytes at the end of an object that is as long as the client says. */
export async function appendObject(
  request: AppendRequest,
  tools: AppendTools,
): Promise<AppendOutcome> {
  const { bucket, key, offset } = request
  const found = await tools.objects.find(bucket, key)
  const bytes = found.kind === 'found' ? found.object.version.bytes : 0
  if (bytes !== offset) return { kind: 'wrong-offset', bytes }
  if (found.kind !== 'found') return orChanged(await tools.objects.put(asFirst(request)))
  if (bucket.settings?.versioning) return await rewrite(request, found.object, tools)
  return await appendPart(request, found.object.version, tools)
}

async function rewrite(
  request: AppendRequest,
  object: StoredObject,
  { objects }: AppendTools,
): Promise<AppendOutcome> {
  try {
    return await objects.put(asRewrite(request, object))
  } catch (error) {
    if (error instanceof SourceChanged) return { kind: 'changed' }
    throw error
  }
}

/** What was not there must still not be there. */
function asFirst(request: AppendRequest): PutRequest {
  return { ...request, conditions: { ...request.conditions, ifNoneMatch: ['*'] } }
}

function orChanged(outcome: AppendOutcome): AppendOutcome {
  const lost = outcome.kind === 'condition-failed' && outcome.condition === 'If-None-Match'
  return lost ? { kind: 'changed' } : outcome
}

/** Attributes, encryption and annotations of the object stay; a lock is that of the new version. */
function asRewrite(request: AppendRequest, object: StoredObject): PutRequest {
  const { encryption: _, customerKey, ...put } = request
  const { retention, legalHold } = request.attributes
  const again = object.describeAgain(customerKey)
  return {
    ...put,
    ...again,
    attributes: {
      ...again.attributes,
      ...(retention ? { retention } : {}),
      ...(legalHold === undefined ? {} : { legalHold }),
    },
    conditions: { ...request.conditions, ifCurrent: stateIdOf(object.version) },
    body: appendedBody(object, request),
  }
}

async function appendPart(
  request: AppendRequest,
  version: ObjectVersion,
  { metadata: rows, parts }: AppendTools,
): Promise<AppendOutcome> {
  const { bucket, key, conditions, customerKey, body } = request
  const { encryption, storageClass } = version
  const partCount = version.manifest?.partCount ?? (version.bytes === 0 ? 0 : 1)
  // As many as a multipart upload can have.
  if (partCount >= PARTS_MAX) return { kind: 'too-many-parts' }
  const sealing = encryption && (await openSealing(encryption, customerKey, parts))
  const owner = {
    ...{ bucket, key, part: partCount + 1, storageClass, attributes: version, sealing },
    role: { kind: 'append' as const, offset: version.bytes, after: version.etag },
  }
  const part = await storeBody(owner, body, parts, request)
  const manifestUid = newUid(parts.world)
  return await commitStored([part], parts, () =>
    rows.commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'append-object',
      versionId: version.versionId,
      part,
      manifestUid,
      etag: appendedEtag(version, part, partCount + 1),
      checksum: appendedChecksum(version, part),
      conditions,
    })),
  )
}

/** What is known of the bytes to be appended. */
type Appended = Pick<Part, 'bytes' | 'etag' | 'checksum'>

/**
 * The ETag after an append: of the form of multipart ETags, made of the ETag before and that of the new bytes, so
 * that its cost does not grow with the object.
 */
function appendedEtag(before: ObjectVersion, part: Appended, partCount: number): string {
  const digest = digestOf('MD5', Buffer.from(`${before.etag} ${part.etag}`))
  return `${Buffer.from(digest).toString('hex')}-${partCount}`
}

/** The checksum of all bytes, where it follows from the two: CRCs of one kind. */
function appendedChecksum(before: ObjectVersion, part: Appended): Checksum | undefined {
  const { checksum } = part
  if (before.bytes === 0) return checksum
  const name = crcOf(before.checksum)
  if (name === undefined || !before.checksum || checksum?.algorithm !== name) return undefined
  const value = combineCrc(name, bytesOf(before.checksum), bytesOf(checksum), part.bytes)
  return { ...before.checksum, value: Buffer.from(value).toString('base64') }
}

/** All bytes of the object, then the new ones, under digests of the whole. */
function appendedBody(object: StoredObject, request: AppendRequest): Body {
  const { body, customerKey } = request
  const { bytes, checksum } = object.version
  async function* all(): AsyncGenerator<Uint8Array> {
    if (bytes > 0) yield* object.read({ first: 0, last: bytes - 1 }, request, customerKey)
    yield* body.chunks
  }
  const allBytes = bytes + body.bytes
  const algorithm = crcOf(checksum) ?? 'CRC64NVME'
  const { chunks, finish } = digestPassing(all(), algorithm, allBytes)
  return {
    bytes: allBytes,
    chunks,
    finish: () => {
      body.finish()
      return finish()
    },
  }
}

function crcOf(checksum: Checksum | undefined): CrcName | undefined {
  if (checksum?.type !== 'FULL_OBJECT') return undefined
  const { algorithm } = checksum
  return algorithm === 'CRC32' || algorithm === 'CRC32C' || algorithm === 'CRC64NVME'
    ? algorithm
    : undefined
}

function bytesOf({ value }: Checksum): Uint8Array {
  return Buffer.from(value, 'base64')
}
