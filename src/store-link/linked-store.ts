// The store as a worker has it: what it may not answer by what it keeps is asked of the process that has the drives, over the link.
import type { Duplex } from 'node:stream'
import type { AdminApi } from '../gateway/admin-api.ts'
import type { Clock } from '../kit/world.ts'
import type { BlobCache } from '../objects/blob-cache.ts'
import type { FindOutcome, ObjectStore } from '../objects/object-store.ts'
import { plainBlobOf } from '../objects/stored-object.ts'
import {
  ADMIN_CALLS,
  type BodyCall,
  DRIVE_CALLS,
  type ObjectRef,
  type PlainCall,
  type Welcome,
} from './calls.ts'
import { type BodyArguments, Link, LinkBroken } from './link.ts'
import type { LinkMemory } from './link-memory.ts'
import { linkedObject } from './linked-object.ts'
import { ObjectsAtHand } from './objects-at-hand.ts'

/** A store that is linked. */
export interface LinkedStore {
  objects: ObjectStore
  admin: AdminApi
  credentials: Welcome['credentials']
}

/** What a worker keeps and reads with, and who hears that the link has ended. */
export interface LinkOptions {
  /** The store does not answer any more. */
  onEnd(): void
  /** What the stream reads into, where it does not give what it read as data. */
  memory?: LinkMemory
  /** Bytes that are read again and again. */
  blobCache: BlobCache
  clock: Clock
}

/** Resolves once the store has said who may ask it. */
export function linkStore(
  stream: Duplex,
  { onEnd, memory, blobCache, clock }: LinkOptions,
): Promise<LinkedStore> {
  return new Promise((resolve, reject) => {
    const kept = new ObjectsAtHand()
    const link = new Link(stream, {
      ...(memory ? { memory, clock } : { clock }),
      onWelcome: (credentials) => {
        const objects = objectsOver({ link, blobCache, kept })
        resolve({ objects, admin: adminOver(link), credentials })
      },
      onForget: (names) => kept.forget(names),
      onEnd: () => {
        kept.clear()
        reject(new LinkBroken())
        onEnd()
      },
    })
  })
}

/** What a worker answers by. */
interface WorkerParts {
  link: Link
  blobCache: BlobCache
  kept: ObjectsAtHand
}

function objectsOver(parts: WorkerParts): ObjectStore {
  const { link, kept } = parts
  const plain =
    <Name extends PlainCall>(name: Name) =>
    (...args: Parameters<ObjectStore[Name]>): ReturnType<ObjectStore[Name]> =>
      link.ask(name, args) as ReturnType<ObjectStore[Name]>
  const withBody =
    <Name extends BodyCall>(name: Name) =>
    (request: Parameters<ObjectStore[Name]>[0]): ReturnType<ObjectStore[Name]> =>
      link.askWithBody(name, request as unknown as BodyArguments) as ReturnType<ObjectStore[Name]>
  return {
    listBuckets: () => [...link.buckets.values()],
    findBucket: (name) => link.buckets.get(name),
    // Every change is known here before anybody hears of it.
    lookUpBucket: async (name) => link.buckets.get(name),
    lookUpBuckets: async () => [...link.buckets.values()],
    find: async (bucket, key, versionId) => {
      const object = versionId === undefined ? kept.find(bucket, key) : undefined
      if (object !== undefined) return { kind: 'found', object }
      const found = await link.askInOrder('find', [bucket, key, versionId], (found, bytes) =>
        foundOver(parts, { found: found as FoundRow, bytes }, { bucket, key }),
      )
      return found as FindOutcome
    },
    findAtHand: (bucket, key) => kept.find(bucket, key),
    createBucket: plain('createBucket'),
    changeBucket: plain('changeBucket'),
    deleteBucket: plain('deleteBucket'),
    put: withBody('put'),
    append: withBody('append'),
    annotate: withBody('annotate'),
    putPart: withBody('putPart'),
    delete: plain('delete'),
    deleteMany: (bucket, keys, options, signal) =>
      link.ask('deleteMany', [bucket, keys, options], signal) as ReturnType<
        ObjectStore['deleteMany']
      >,
    edit: plain('edit'),
    deleteAnnotation: plain('deleteAnnotation'),
    list: plain('list'),
    listVersions: plain('listVersions'),
    createUpload: plain('createUpload'),
    findUpload: plain('findUpload'),
    completeUpload: plain('completeUpload'),
    abortUpload: plain('abortUpload'),
    listParts: plain('listParts'),
    listUploads: plain('listUploads'),
    countUploads: plain('countUploads'),
    recallRename: plain('recallRename'),
    noteRename: plain('noteRename'),
  }
}

/** What find() gave, before it is an object again. */
type FoundRow =
  | Exclude<FindOutcome, { kind: 'found' }>
  /** `kept`: it is the latest until the store says something else. */
  | { kind: 'found' | 'kept'; version: ObjectRef['version'] }

/** `bytes`: all of the object, where it is read again and again. */
function foundOver(
  { link, blobCache, kept }: WorkerParts,
  { found, bytes }: { found: FoundRow; bytes: Uint8Array | undefined },
  { bucket, key }: Pick<ObjectRef, 'bucket' | 'key'>,
): FindOutcome {
  if (!('version' in found)) return found
  const object = linkedObject({ bucket, key, version: found.version }, { link, blobCache })
  if (found.kind === 'kept') kept.keep(bucket, key, object)
  const blob = plainBlobOf(found.version)
  // A copy: what came lies in memory of more.
  if (blob !== undefined && bytes !== undefined) blobCache.keep(blob, new Uint8Array(bytes))
  return { kind: 'found', object }
}

function adminOver(link: Link): AdminApi {
  const asks = (group: string, names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(
      names.map((name) => [
        name,
        (...args: unknown[]) => {
          // A signal does not travel; inspect() is the one that takes some.
          const [signal] = args.filter((arg) => arg instanceof AbortSignal)
          const rest = args.filter((arg) => !(arg instanceof AbortSignal))
          return link.ask(`${group} ${name}`, rest, signal)
        },
      ]),
    )
  const drives = asks('drives', DRIVE_CALLS)
  return { ...asks('admin', ADMIN_CALLS), drives } as unknown as AdminApi
}
