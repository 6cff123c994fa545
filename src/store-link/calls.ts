// What a worker may ask of the store: the operations of ObjectStore, and those of objects that it found, by name.
import type { AdminApi } from '../gateway/admin-api.ts'
import type {
  Body,
  BodyDigests,
  Bucket,
  ObjectStore,
  ObjectVersion,
} from '../objects/object-store.ts'

/** Operations whose arguments and answers are plain values. */
export const PLAIN_CALLS = [
  ...(['createBucket', 'changeBucket', 'deleteBucket', 'delete', 'edit'] as const),
  ...(['deleteAnnotation', 'list', 'listVersions', 'createUpload', 'findUpload'] as const),
  ...(['completeUpload', 'abortUpload', 'listParts', 'listUploads', 'countUploads'] as const),
  ...(['recallRename', 'noteRename'] as const),
] satisfies readonly (keyof ObjectStore)[]

/** The name of one of these. */
export type PlainCall = (typeof PLAIN_CALLS)[number]

/** After these every worker knows the buckets before anybody hears that it is done. */
export const BUCKET_CALLS: ReadonlySet<string> = new Set([
  ...(['createBucket', 'changeBucket', 'deleteBucket'] as const),
])

/** Operations that take a body. */
export const BODY_CALLS = ['put', 'append', 'annotate', 'putPart'] as const
/** The name of one of these. */
export type BodyCall = (typeof BODY_CALLS)[number]

/** What the root may ask. */
export const ADMIN_CALLS = [
  ...(['status', 'healing', 'beginHeal', 'releaseOrphans', 'inspect'] as const),
] satisfies readonly (keyof AdminApi)[]
/** What the root may ask of drives: each is sent by its name behind `drives `. */
export const DRIVE_CALLS = [
  ...(['list', 'add', 'replace', 'drain', 'weigh', 'remove'] as const),
] satisfies readonly (keyof AdminApi['drives'])[]

/** An object that was found, as it was then. */
export interface ObjectRef {
  bucket: Bucket
  key: string
  version: ObjectVersion
}

/** A request that has a body: that comes apart, and so does the signal. */
export interface BodyRequest {
  request: Record<string, unknown>
  annotationsOf?: ObjectRef
  bytes: Body['bytes']
  /** Of a body that comes with the call. */
  digests?: BodyDigests
}

/**
 * Bodies up to here are sent with their call, when they are whole, and larger ones when the store asks for them; likewise what is
 * read is the answer as it is, and what is longer comes by and by.
 */
export const EAGER_BYTES = 64 * 1024

/** A call. */
export interface Call {
  name: string
  args: readonly unknown[]
}

/** Whoever is told what is to be known by all, and does not hear it for so long, is ended. */
export const HEAR_MS = 10_000

/** One object, whatever version of it is the latest. */
export function nameObject(bucketId: Bucket['id'], key: string): string {
  return `${bucketId}/${key}`
}

// Calls about one object that say which by their first two arguments.
const BY_KEY: ReadonlySet<string> = new Set([
  ...(['find', 'delete', 'edit', 'deleteAnnotation'] as const),
  ...(['createUpload', 'findUpload', 'abortUpload', 'listParts'] as const),
])

// Calls that tell nothing of any object.
const OF_NONE: ReadonlySet<string> = new Set([
  ...['admin status', 'admin healing', 'admin beginHeal', 'admin releaseOrphans'],
  ...['countUploads', 'noteRename', ...DRIVE_CALLS.map((name) => `drives ${name}`)],
])

/** The name of the object that the answer to a call may tell of, or how many it may be. */
export function objectsOfCall({ name, args }: Call): { name: string } | 'none' | 'any' {
  if (OF_NONE.has(name)) return 'none'
  const [first, second] = args
  if (BY_KEY.has(name)) return { name: nameObject((first as Bucket).id, second as string) }
  const isBody = (BODY_CALLS as readonly string[]).includes(name)
  if (!isBody && name !== 'completeUpload' && !name.startsWith('object ')) return 'any'
  const { bucket, key } = (isBody ? (first as BodyRequest).request : first) as ObjectRef
  return { name: nameObject(bucket.id, key) }
}

/** What a worker is told first. */
export interface Welcome {
  credentials: { accessKeyId: string; secretAccessKey: string }
  buckets: Bucket[]
}
