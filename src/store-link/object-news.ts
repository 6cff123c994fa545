// What workers keep of objects: the latest versions that the store told them, by which they answer until they hear of a change.
// Whoever changed an object, and whoever read what it became, is answered once all who kept it have heard. So no worker answers
// by what somebody was told is over (docs/decisions/0037-what-workers-keep.md).
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Bucket, ObjectStore, StoredObject } from '../objects/object-store.ts'
import { type Call, HEAR_MS, nameObject, objectsOfCall } from './calls.ts'
import type { Channel } from './channel.ts'
import { FrameKind } from './frames.ts'

const LOOK_EVERY_MS = 1_000
const LOOKS_MAX = HEAR_MS / LOOK_EVERY_MS

/** Objects that a worker keeps. */
const KEPT_MAX = 8_192

/** Where there are more so many of them are forgotten together: each time is a frame, and an answer. */
const FORGOTTEN_PART = 1 / 16

/** Where objects are at hand, and who tells of their changes; `clock` paces the looks at workers that did not hear yet. */
export interface ObjectNewsParts {
  objects: Pick<ObjectStore, 'findAtHand'>
  changes: {
    watch(listener: (changed: readonly { bucketId: number; key: string }[]) => void): () => void
  }
  world: Pick<World, 'clock'>
  log: Log
}

/** Objects that some workers are to forget. */
interface Notice {
  names: string[]
  /** Who has not heard of it yet. */
  deaf: number
  heard: Promise<void>
  onHeard: () => void
}

interface Keeper {
  /** By name, in the order in which they were told. */
  kept: Set<string>
  /** What it was told and has not heard yet, in that order. */
  unheard: Notice[]
  kill: () => void
  /** How often it was looked since it has heard something, and there was more. */
  looks: number
}

/** Tells all workers. */
export class ObjectNews {
  readonly #parts: ObjectNewsParts
  readonly #keptMax: number
  readonly #keepers = new Map<Channel, Keeper>()
  /** By the names of objects. No worker keeps any of them. */
  readonly #unheard = new Map<string, Notice>()
  readonly #notices = new Set<Notice>()
  readonly #unwatch: () => void
  readonly #stopping = new AbortController()
  #isWatching = false

  constructor(parts: ObjectNewsParts, keptMax = KEPT_MAX) {
    this.#parts = parts
    this.#keptMax = keptMax
    this.#unwatch = parts.changes.watch((changed) =>
      this.#forget(changed.map(({ bucketId, key }) => nameObject(bucketId, key))),
    )
  }

  /** `kill` ends the process at the other end of the channel. */
  join(channel: Channel, kill: () => void): void {
    this.#keepers.set(channel, { kept: new Set(), unheard: [], kill, looks: 0 })
  }

  /** The process is gone, and what it kept. */
  leave(channel: Channel): void {
    const keeper = this.#keepers.get(channel)
    this.#keepers.delete(channel)
    for (const notice of keeper?.unheard ?? []) this.#hear(notice)
  }

  /**
   * The latest version of a key, where the worker may keep it: it is to be sent in this very tick, behind what was sent
   * before. Undefined where that is not known without waiting, or somebody has not heard yet of a change.
   */
  keep(channel: Channel, bucket: Bucket, key: string): StoredObject | undefined {
    const keeper = this.#keepers.get(channel)
    const name = nameObject(bucket.id, key)
    if (keeper === undefined || this.#unheard.has(name)) return undefined
    const object = this.#parts.objects.findAtHand?.(bucket, key)
    if (object === undefined) return undefined
    if (!keeper.kept.has(name) && keeper.kept.size >= this.#keptMax) {
      this.#forget([...keeper.kept].slice(0, Math.ceil(this.#keptMax * FORGOTTEN_PART)))
    }
    keeper.kept.add(name)
    return object
  }

  /** The worker has forgotten what it was told first of all that it had not. */
  heard(channel: Channel): void {
    const keeper = this.#keepers.get(channel)
    const notice = keeper?.unheard.shift()
    if (keeper === undefined || notice === undefined) return
    keeper.looks = 0
    this.#hear(notice)
  }

  /**
   * Resolves when everybody has heard what was told until now of the objects that the answer to a call may tell of; undefined
   * when there is nothing to wait for.
   */
  settled(call: Call): Promise<unknown> | undefined {
    if (this.#notices.size === 0) return undefined
    const objects = objectsOfCall(call)
    if (objects === 'none') return undefined
    if (objects !== 'any') return this.#unheard.get(objects.name)?.heard
    return Promise.all([...this.#notices].map(({ heard }) => heard))
  }

  stop(): void {
    this.#unwatch()
    this.#stopping.abort()
  }

  /** Everybody is to forget what he keeps of these. */
  #forget(names: readonly string[]): void {
    let notice: Notice | undefined
    for (const [channel, { kept, unheard }] of this.#keepers) {
      const known = names.filter((name) => kept.delete(name))
      if (known.length === 0) continue
      notice ??= this.#newNotice()
      notice.deaf += 1
      for (const name of known) this.#note(name, notice)
      unheard.push(notice)
      channel.send(FrameKind.Forget, 0, known)
    }
  }

  #newNotice(): Notice {
    let onHeard = (): void => {}
    const heard = new Promise<void>((resolve) => {
      onHeard = resolve
    })
    const notice: Notice = { names: [], deaf: 0, heard, onHeard }
    this.#notices.add(notice)
    if (!this.#isWatching) void this.#watch()
    return notice
  }

  #note(name: string, notice: Notice): void {
    if (this.#unheard.get(name) === notice) return
    this.#unheard.set(name, notice)
    notice.names.push(name)
  }

  #hear(notice: Notice): void {
    notice.deaf -= 1
    if (notice.deaf > 0) return
    this.#notices.delete(notice)
    for (const name of notice.names) this.#unheard.delete(name)
    notice.onHeard()
  }

  /** Whoever does not hear for too long is killed, and is gone when its channel is: or, at the latest, as long afterwards. */
  async #watch(): Promise<void> {
    const { clock } = this.#parts.world
    const { signal } = this.#stopping
    this.#isWatching = true
    while (this.#notices.size > 0 && !signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined) // Aborted: it is over.
      for (const [channel, keeper] of this.#keepers)
        if (keeper.unheard.length > 0) this.#look(channel, keeper)
    }
    this.#isWatching = false
  }

  /** Looks are counted, not time: where all processes stood still together none of them is late. */
  #look(channel: Channel, keeper: Keeper): void {
    keeper.looks += 1
    if (keeper.looks === LOOKS_MAX) {
      this.#parts.log.error({}, 'a worker does not hear of objects and is killed')
      keeper.kill()
    }
    if (keeper.looks === 2 * LOOKS_MAX) this.leave(channel)
  }
}
