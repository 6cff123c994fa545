// An object that a worker found: what is known of it is here, the rest is asked for over the link.

import type { BlobCache } from '../objects/blob-cache.ts'
import { findCached, readThrough } from '../objects/cached-read.ts'
import type {
  Annotation,
  ByteRange,
  CustomerKey,
  ObjectVersion,
  Redescribed,
  StoredObject,
  Waiter,
} from '../objects/object-store.ts'
import { describeAgain, plainBlobOf } from '../objects/stored-object.ts'
import { EAGER_BYTES, type ObjectRef } from './calls.ts'

/** Whom it asks. */
export interface AskedLink {
  ask(name: string, args: readonly unknown[]): Promise<unknown>
  read(name: string, args: readonly unknown[], signal: AbortSignal): AsyncIterable<Uint8Array>
  readShort(name: string, args: readonly unknown[], bytes: number): AsyncIterable<Uint8Array>
}

/** Where the rest is. */
export interface LinkedParts {
  link: AskedLink
  blobCache: BlobCache
}

/** How the store finds it again. */
export function refOfObject(object: StoredObject): ObjectRef {
  if (object instanceof LinkedObject) return object.ref
  throw new TypeError('an object is of this link')
}

/** The object of that row. */
export function linkedObject(ref: ObjectRef, parts: LinkedParts): StoredObject {
  return new LinkedObject(ref, parts)
}

/** A class, because many are kept and few are asked for more than one thing. */
class LinkedObject implements StoredObject {
  readonly ref: ObjectRef
  readonly #parts: LinkedParts

  constructor(ref: ObjectRef, parts: LinkedParts) {
    this.ref = ref
    this.#parts = parts
  }

  get version(): ObjectVersion {
    return this.ref.version
  }

  describeAgain(customerKey?: CustomerKey): Redescribed {
    return describeAgain(this, customerKey)
  }

  isUnchanged(): Promise<boolean> {
    return this.#ask('isUnchanged')
  }

  findPart(number: number): ReturnType<StoredObject['findPart']> {
    return this.#ask('findPart', number)
  }

  listAnnotations(
    scan: Parameters<StoredObject['listAnnotations']>[0],
  ): ReturnType<StoredObject['listAnnotations']> {
    return this.#ask('listAnnotations', scan)
  }

  listParts(after: number, limit: number): ReturnType<StoredObject['listParts']> {
    return this.#ask('listParts', after, limit)
  }

  findAnnotation(name: string): ReturnType<StoredObject['findAnnotation']> {
    return this.#ask('findAnnotation', name)
  }

  readAnnotation(annotation: Annotation, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#parts.link.read('object readAnnotation', [this.ref, annotation], signal)
  }

  read(range: ByteRange, waiter: Waiter, customerKey?: CustomerKey): AsyncIterable<Uint8Array> {
    const { link, blobCache } = this.#parts
    const read = (part: ByteRange): AsyncIterable<Uint8Array> => {
      const args = [this.ref, part, customerKey]
      const bytes = part.last - part.first + 1
      return bytes <= EAGER_BYTES
        ? link.readShort('object readShort', args, bytes)
        : link.read('object read', args, waiter.signal)
    }
    const blob = plainBlobOf(this.version)
    return blob ? readThrough(blobCache, { blob, range }, read) : read(range)
  }

  readAtHand(range: ByteRange): Uint8Array | undefined {
    const blob = plainBlobOf(this.version)
    return blob && findCached(blob, range, this.#parts.blobCache)
  }

  #ask<Answer>(name: string, ...args: readonly unknown[]): Promise<Answer> {
    return this.#parts.link.ask(`object ${name}`, [this.ref, ...args]) as Promise<Answer>
  }
}
