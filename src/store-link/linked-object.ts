// An object that a worker found: what is known of it is here, the rest is asked for over the link.

import type { BlobCache } from '../objects/blob-cache.ts'
import { findCached, readThrough } from '../objects/cached-read.ts'
import type { Annotation, ByteRange, StoredObject } from '../objects/object-store.ts'
import { describeAgain, plainBlobOf } from '../objects/stored-object.ts'
import type { ObjectRef } from './calls.ts'

/** Whom it asks. */
export interface AskedLink {
  ask(name: string, args: readonly unknown[]): Promise<unknown>
  read(name: string, args: readonly unknown[], signal: AbortSignal): AsyncIterable<Uint8Array>
}

const REFS = new WeakMap<StoredObject, ObjectRef>()

/** How the store finds it again. */
export function refOfObject(object: StoredObject): ObjectRef {
  const ref = REFS.get(object)
  if (ref === undefined) throw new TypeError('an object is of this link')
  return ref
}

/** The object of that row. */
export function linkedObject(
  ref: ObjectRef,
  { link, blobCache }: { link: AskedLink; blobCache: BlobCache },
): StoredObject {
  const blob = plainBlobOf(ref.version)
  const ask = <Answer>(name: string, ...args: unknown[]): Promise<Answer> =>
    link.ask(`object ${name}`, [ref, ...args]) as Promise<Answer>
  const object: StoredObject = {
    version: ref.version,
    describeAgain: (customerKey) => describeAgain(object, customerKey),
    isUnchanged: () => ask('isUnchanged'),
    findPart: (number) => ask('findPart', number),
    listAnnotations: (scan) => ask('listAnnotations', scan),
    listParts: (after, limit) => ask('listParts', after, limit),
    findAnnotation: async (name) => {
      const annotation = await ask<Annotation | undefined>('findAnnotation', name)
      if (annotation === undefined) return undefined
      const read = (signal: AbortSignal): AsyncIterable<Uint8Array> =>
        link.read('object readAnnotation', [ref, name], signal)
      return { annotation, read }
    },
    read: (range, waiter, customerKey) => {
      const read = (part: ByteRange): AsyncIterable<Uint8Array> =>
        link.read('object read', [ref, part, customerKey], waiter.signal)
      return blob ? readThrough(blobCache, { blob, range }, read) : read(range)
    },
    readAtHand: (range) => blob && findCached(blob, range, blobCache),
  }
  REFS.set(object, ref)
  return object
}
