// Objects that a worker answers by without asking anybody: the store told them as the latest of their keys, and says when they
// are to be forgotten, before anybody hears of a change. How many they are is the store's to decide.
import type { Bucket, StoredObject } from '../objects/object-store.ts'
import { nameObject } from './calls.ts'

/** By bucket and key. */
export class ObjectsAtHand {
  readonly #objects = new Map<string, StoredObject>()

  find(bucket: Bucket, key: string): StoredObject | undefined {
    return this.#objects.get(nameObject(bucket.id, key))
  }

  /** To be called in the order in which the store said it and what else it says. */
  keep(bucket: Bucket, key: string, object: StoredObject): void {
    this.#objects.set(nameObject(bucket.id, key), object)
  }

  forget(names: readonly string[]): void {
    for (const name of names) this.#objects.delete(name)
  }

  clear(): void {
    this.#objects.clear()
  }
}
