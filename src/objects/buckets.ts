// Buckets: names in the registry of the coordinator, and the two-step deletion that never loses a write.
//
// Deleting freezes the bucket in every metadata partition first; only when all of them answer "empty" is
// it dropped. A write that comes in between is refused and, if the deletion is undone, sent again.
import { newUid } from '../kit/uid.ts'
import type { Bucket, ClusterState } from '../placement/coordinator.ts'
import type { StoreParts } from './store-parts.ts'

/** The registry, as the object store uses it. */
export class Buckets {
  readonly #parts: StoreParts
  /** Deletions under way, by name: a write that meets one waits for its end. */
  readonly #deletions = new Map<string, Promise<unknown>>()

  constructor(parts: StoreParts) {
    this.#parts = parts
  }

  /** In order of name. */
  list(): Bucket[] {
    const buckets = Object.values(this.#state.buckets)
    return buckets.sort((left, right) => (left.name < right.name ? -1 : 1))
  }

  find(name: string): Bucket | undefined {
    return Object.hasOwn(this.#state.buckets, name) ? this.#state.buckets[name] : undefined
  }

  /** The bucket as it stands after a deletion that is under way, if it is still the same one. */
  async settled(bucket: Bucket): Promise<Bucket | undefined> {
    await this.#deletions.get(bucket.name)
    const current = this.find(bucket.name)
    return current?.id === bucket.id ? current : undefined
  }

  async create(
    name: string,
    region: string,
  ): Promise<{ kind: 'created' | 'exists'; bucket: Bucket }> {
    let kind: 'created' | 'exists' = 'exists'
    const createdMs = this.#parts.world.clock.now()
    const state = await this.#parts.coordinator.decide((before) => {
      if (Object.hasOwn(before.buckets, name)) return undefined
      kind = 'created'
      const bucket: Bucket = {
        name,
        id: before.nextBucketId,
        createdMs,
        region,
        revision: 1,
        state: 'live',
      }
      return {
        ...before,
        buckets: { ...before.buckets, [name]: bucket },
        nextBucketId: before.nextBucketId + 1,
      }
    })
    return { kind, bucket: state.buckets[name]! }
  }

  /** One deletion of a name at a time; a second one answers as the first. */
  delete(name: string): Promise<{ kind: 'deleted' | 'missing' | 'not-empty' }> {
    const running = this.#deletions.get(name)
    if (running) return running.then(() => this.delete(name))
    const deletion = this.#deleteNow(name).finally(() => this.#deletions.delete(name))
    // A waiter only wants to know that it ended; the caller below gets the error.
    this.#deletions.set(
      name,
      deletion.catch(() => {}),
    )
    return deletion
  }

  /** Ends deletions that a crash left half done. */
  async finishDeletions(): Promise<void> {
    for (const bucket of this.list()) {
      if (bucket.state === 'deleting') await this.delete(bucket.name)
    }
  }

  async #deleteNow(name: string): Promise<{ kind: 'deleted' | 'missing' | 'not-empty' }> {
    const deleting = await this.#change(name, 'deleting')
    if (!deleting) return { kind: 'missing' }
    if (!(await this.#freeze(deleting))) {
      await this.#thaw(name)
      return { kind: 'not-empty' }
    }
    await this.#dropEverywhere(deleting)
    await this.#forget(name)
    return { kind: 'deleted' }
  }

  /** Whether it is empty. A deletion that can not go on is undone: the bucket must not stay refused. */
  async #freeze(deleting: Bucket): Promise<boolean> {
    try {
      return await this.#setEverywhere(deleting, 'frozen')
    } catch (error) {
      await this.#thaw(deleting.name).catch((trouble) => {
        const { log } = this.#parts
        log.error(
          { bucket: deleting.name, error: String(trouble) },
          'a deletion could not be undone: it is ended at the next start, or by deleting again',
        )
      })
      throw error
    }
  }

  async #thaw(name: string): Promise<void> {
    const live = await this.#change(name, 'live')
    if (live) await this.#setEverywhere(live, 'live')
  }

  /** Gives the bucket a state and the next revision; undefined when there is no such bucket. */
  async #change(name: string, state: Bucket['state']): Promise<Bucket | undefined> {
    const after = await this.#parts.coordinator.decide((before) => {
      const bucket = before.buckets[name]
      if (!bucket) return undefined
      const changed = { ...bucket, state, revision: bucket.revision + 1 }
      return { ...before, buckets: { ...before.buckets, [name]: changed } }
    })
    return after.buckets[name]
  }

  /** Tells every partition; true when the bucket is empty in all of them. */
  async #setEverywhere({ id, revision }: Bucket, state: 'live' | 'frozen'): Promise<boolean> {
    const answers = await Promise.all(
      this.#parts.router.partitions.map((partition) =>
        partition.commit({
          kind: 'set-bucket',
          commandId: newUid(this.#parts.world),
          bucket: { id, revision },
          state,
        }),
      ),
    )
    return answers.every((answer) => answer.kind === 'done' && answer.empty)
  }

  async #dropEverywhere({ id, revision }: Bucket): Promise<void> {
    await Promise.all(
      this.#parts.router.partitions.map((partition) =>
        partition.commit({
          kind: 'drop-bucket',
          commandId: newUid(this.#parts.world),
          bucket: { id, revision },
        }),
      ),
    )
  }

  async #forget(name: string): Promise<void> {
    await this.#parts.coordinator.decide((before) => {
      const { [name]: _gone, ...buckets } = before.buckets
      return { ...before, buckets }
    })
  }

  get #state(): ClusterState {
    return this.#parts.coordinator.state
  }
}
