// Buckets: names in the registry of the coordinator, their settings, and the two-step deletion that never loses a write.
//
// Deleting freezes the bucket in every metadata partition first; only when all of them answer "empty" is
// it dropped. A write that comes in between is refused and, if the deletion is undone, sent again.
// In a cluster others change the same buckets: whoever changed one last goes on, the others begin again (shared-buckets.ts).
import { beforeDeadline } from '../kit/before-deadline.ts'
import { newUid } from '../kit/uid.ts'
import type { ReachablePartition } from '../metadata/contract.ts'
import type { BucketRef } from '../metadata/records.ts'
import { MetadataUnavailable } from '../metadata/unavailable.ts'
import { WaitingTime } from '../metadata/waiting-time.ts'
import type { Bucket, BucketSettings, ClusterState } from '../placement/coordinator.ts'
import { BucketGone, type ChangeBucketOutcome } from './object-store.ts'
import { contended, SharedBuckets } from './shared-buckets.ts'
import type { StoreParts } from './store-parts.ts'

/** A bucket as commands and queries name it. */
export function refOf({ id, revision, settings }: Bucket): BucketRef {
  return { id, revision, versioning: settings?.versioning ?? 'unversioned' }
}

/** New values of settings; undefined removes one. */
export type SettingsChange = { [Name in keyof BucketSettings]: BucketSettings[Name] | undefined }

/** Where a bucket can not be frozen everywhere, so much of the time of its deletion is for undoing that. */
const THAW_MS = 10_000

/** The registry, as the object store uses it. */
export class Buckets {
  readonly #parts: StoreParts
  readonly #shared: SharedBuckets
  /** Changes and deletions under way, by name: a write that meets one waits for its end. */
  readonly #changes = new Map<string, Promise<unknown>>()

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.#shared = new SharedBuckets(parts)
  }

  /** In order of name. */
  list(): Bucket[] {
    const buckets = Object.values(this.#state.buckets)
    return buckets.sort((left, right) => (left.name < right.name ? -1 : 1))
  }

  find(name: string): Bucket | undefined {
    return Object.hasOwn(this.#state.buckets, name) ? this.#state.buckets[name] : undefined
  }

  /** As all know it who were told so far, and where nobody here was, as it is. Rejects with CoordinatorUnavailable. */
  async lookUp(name: string): Promise<Bucket | undefined> {
    const known = this.find(name)
    if (known === undefined) await this.#parts.coordinator.refresh?.()
    return known ?? this.find(name)
  }

  /** All of them, as they are; as they are known here when nobody can be asked. */
  async lookUpAll(): Promise<Bucket[]> {
    await this.#parts.coordinator.refresh?.().catch(() => undefined)
    return this.list()
  }

  /** What to ask again with after `refused` was: the same bucket after the change that is under way, if it is still there. */
  async settled(refused: Bucket, time = this.#newTime()): Promise<Bucket | undefined> {
    const running = this.#changes.get(refused.name)
    if (running) await this.#waitFor(running, refused.name, time)
    await this.#parts.coordinator.refresh?.()
    await this.#shared.othersEnded(refused, time)
    const current = this.#shared.afterDeletion(this.#same(refused))
    if (current?.state !== 'live' || current.revision !== refused.revision) return current
    // A deletion was undone, but a crash or an overload kept that from a partition: it is still frozen.
    await this.#inTurn(current.name, time, () => this.#tellAgain(refused, time))
    return this.#same(refused)
  }

  async create(
    name: string,
    region: string,
    settings?: BucketSettings,
  ): Promise<{ kind: 'created' | 'exists'; bucket: Bucket }> {
    let kind: 'created' | 'exists' = 'exists'
    const createdMs = this.#parts.world.clock.now()
    const state = await this.#parts.coordinator.decide((before) => {
      kind = 'exists' // It may be asked again, on a state in which another one was quicker.
      if (Object.hasOwn(before.buckets, name)) return undefined
      kind = 'created'
      const bucket: Bucket = {
        name,
        id: before.nextBucketId,
        createdMs,
        region,
        revision: 1,
        state: 'live',
        ...(settings ? { settings } : {}),
      }
      return {
        ...before,
        buckets: { ...before.buckets, [name]: bucket },
        nextBucketId: before.nextBucketId + 1,
      }
    })
    return { kind, bucket: state.buckets[name]! }
  }

  /** A second deletion of a name answers as the first. */
  delete(
    name: string,
    time = this.#newTime(),
  ): Promise<{ kind: 'deleted' | 'missing' | 'not-empty' }> {
    return this.#inTurn(name, time, () => this.#deleteNow(name, time))
  }

  /**
   * Changes settings. Every partition knows the new revision before this resolves, and refuses older ones from then
   * on: no write that begins afterwards is decided by the old settings.
   */
  change(
    bucket: Bucket,
    change: SettingsChange,
    time = this.#newTime(),
  ): Promise<ChangeBucketOutcome> {
    return this.#inTurn(bucket.name, time, () => this.#changeNow(bucket, change, time))
  }

  /** Ends deletions that a crash left half done. */
  async finishDeletions(): Promise<void> {
    for (const bucket of this.list()) {
      if (bucket.state === 'deleting') await this.delete(bucket.name)
    }
  }

  /** One change of a name at a time. */
  async #inTurn<Outcome>(
    name: string,
    time: WaitingTime,
    work: () => Promise<Outcome>,
  ): Promise<Outcome> {
    for (;;) {
      const running = this.#changes.get(name)
      if (!running) break
      await this.#waitFor(running, name, time)
    }
    const change = work().finally(() => this.#changes.delete(name))
    // A waiter only wants to know that it ended; the caller below gets the error.
    this.#changes.set(
      name,
      change.catch(() => {}),
    )
    return await change
  }

  #newTime(): WaitingTime {
    return new WaitingTime(this.#parts.world.clock)
  }

  /** Waits for a change of a bucket. Nothing was begun where that takes too long: MetadataUnavailable. */
  async #waitFor(running: Promise<unknown>, name: string, time: WaitingTime): Promise<void> {
    const { world } = this.#parts
    const sinceMs = world.clock.monotonicMs()
    const hasEnded = await beforeDeadline(running, time.leftMs, world)
    time.lose(sinceMs)
    if (hasEnded) return
    const message = `bucket ${name} is being changed, which takes too long`
    throw new MetadataUnavailable(message, { lateEnd: Promise.resolve() })
  }

  #same({ name, id }: Bucket): Bucket | undefined {
    const current = this.find(name)
    return current?.id === id ? current : undefined
  }

  async #tellAgain(bucket: Bucket, time: WaitingTime): Promise<void> {
    const current = this.#same(bucket)
    if (current?.state === 'live') await this.#setEverywhere(current, 'live', time)
  }

  async #changeNow(
    bucket: Bucket,
    change: SettingsChange,
    time: WaitingTime,
  ): Promise<ChangeBucketOutcome> {
    let conflict: Extract<ChangeBucketOutcome, { kind: 'conflict' }> | undefined
    const state = await this.#parts.coordinator.decide((before) => {
      conflict = undefined
      const known = before.buckets[bucket.name]
      if (known?.id !== bucket.id || known.state !== 'live') return undefined
      const settings = withChange(known.settings, change)
      conflict = conflictIn(settings, change)
      if (conflict) return undefined
      const changed = { ...known, settings, revision: known.revision + 1 }
      return { ...before, buckets: { ...before.buckets, [bucket.name]: changed } }
    })
    if (conflict) return conflict
    const changed = state.buckets[bucket.name]
    if (changed?.id !== bucket.id || changed.state !== 'live') {
      throw new BucketGone(`bucket ${bucket.name} is gone`)
    }
    await this.#setEverywhere(changed, 'live', time)
    return { kind: 'changed', bucket: changed }
  }

  async #deleteNow(
    name: string,
    time: WaitingTime,
  ): Promise<{ kind: 'deleted' | 'missing' | 'not-empty' }> {
    await this.#shared.othersEnded({ name }, time)
    const deleting = await this.#setState({ name }, 'deleting')
    if (!deleting) return { kind: 'missing' }
    if (!deleting.isEmpty) {
      if (!(await this.#freeze(deleting, time))) {
        await this.#thaw(deleting, time)
        return { kind: 'not-empty' }
      }
      await this.#shared.settleEmpty(deleting)
    }
    await this.#dropEverywhere(deleting, time)
    await this.#forget(deleting)
    return { kind: 'deleted' }
  }

  /** Whether it is empty. A deletion that can not go on is undone: the bucket must not stay refused. */
  async #freeze(deleting: Bucket, time: WaitingTime): Promise<boolean> {
    const { clock } = this.#parts.world
    const sinceMs = clock.monotonicMs()
    const ms = Math.max(time.leftMs - THAW_MS, time.leftMs / 2)
    try {
      return await this.#setEverywhere(deleting, 'frozen', new WaitingTime(clock, { ms }))
    } catch (error) {
      time.lose(sinceMs)
      await this.#thaw(deleting, time).catch((trouble) => {
        const { log } = this.#parts
        log.error(
          { bucket: deleting.name, error: String(trouble) },
          'a deletion could not be undone: it is ended at the next start, or by deleting again',
        )
      })
      throw error
    }
  }

  async #thaw(deleting: Bucket, time: WaitingTime): Promise<void> {
    const live = await this.#setState(deleting, 'live')
    if (live) await this.#setEverywhere(live, 'live', time)
  }

  /**
   * Gives the bucket a state and the next revision; undefined when there is no such bucket. Where a revision is given it is
   * still that one, or somebody else goes on with it: CoordinatorUnavailable.
   */
  async #setState(
    from: { name: string; revision?: number },
    state: Bucket['state'],
  ): Promise<Bucket | undefined> {
    const { name, revision } = from
    let isOurs = true
    const after = await this.#parts.coordinator.decide((before) => {
      const bucket = before.buckets[name]
      isOurs = revision === undefined || bucket === undefined || bucket.revision === revision
      if (!bucket || bucket.isEmpty || !isOurs) return undefined
      const changed = { ...bucket, state, revision: bucket.revision + 1 }
      return { ...before, buckets: { ...before.buckets, [name]: changed } }
    })
    if (!isOurs) throw contended(name)
    return after.buckets[name]
  }

  /** Tells every partition; true when the bucket is empty in all of them. */
  async #setEverywhere(
    bucket: Bucket,
    state: 'live' | 'frozen',
    time: WaitingTime,
  ): Promise<boolean> {
    const answers = await Promise.all(
      this.#partitions(time).map((partition) =>
        partition.commit({
          kind: 'set-bucket',
          commandId: newUid(this.#parts.world),
          bucket: refOf(bucket),
          state,
        }),
      ),
    )
    return answers.every((answer) => answer.kind === 'done' && answer.empty)
  }

  async #dropEverywhere(bucket: Bucket, time: WaitingTime): Promise<void> {
    await Promise.all(
      this.#partitions(time).map((partition) =>
        partition.commit({
          kind: 'drop-bucket',
          commandId: newUid(this.#parts.world),
          bucket: refOf(bucket),
        }),
      ),
    )
  }

  #partitions(time: WaitingTime): ReachablePartition[] {
    return this.#parts.router.partitions.map((partition) => partition.within?.(time) ?? partition)
  }

  async #forget({ name, id }: Bucket): Promise<void> {
    await this.#parts.coordinator.decide((before) => {
      if (before.buckets[name]?.id !== id) return undefined
      const { [name]: _gone, ...buckets } = before.buckets
      return { ...before, buckets }
    })
  }

  get #state(): ClusterState {
    return this.#parts.coordinator.state
  }
}

function withChange(settings: BucketSettings | undefined, change: SettingsChange): BucketSettings {
  const merged = Object.entries({ ...settings, ...change })
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined))
}

/** Object Lock and versions belong together (pitfall 118). */
function conflictIn(
  { versioning, objectLock }: BucketSettings,
  change: SettingsChange,
): Extract<ChangeBucketOutcome, { kind: 'conflict' }> | undefined {
  if (!objectLock || versioning === 'enabled') return undefined
  const why = change.objectLock ? 'lock-needs-versions' : 'locked-keeps-versions'
  return { kind: 'conflict', why }
}
