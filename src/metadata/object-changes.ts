// Which objects change, told before anybody can read what becomes of them: for who keeps elsewhere what is known of them.
import type { RowBatch } from './log/contract.ts'
import type { BucketId } from './records.ts'
import { bucketIdOf, KeyKind, keyOfHead } from './rows/keys.ts'

/** The latest version of this key is about to be another one, or to say something else. */
export interface ChangedObject {
  bucketId: BucketId
  key: string
}

type Listener = (changed: readonly ChangedObject[]) => void

/** Tells of the changes of all partitions of a process. */
export class ObjectChanges {
  readonly #listeners = new Set<Listener>()

  /** Calls back in the tick in which a change is ordered; returns how to stop. */
  watch(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Rows that are about to change: the `onAppended` of a partition. */
  note(batch: RowBatch): void {
    if (this.#listeners.size === 0) return
    const changed: ChangedObject[] = []
    for (const { key } of batch) {
      if (key[0] !== KeyKind.Current) continue
      changed.push({ bucketId: bucketIdOf(key), key: keyOfHead(key).toString() })
    }
    if (changed.length > 0) for (const listener of this.#listeners) listener(changed)
  }
}
