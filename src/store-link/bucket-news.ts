// What workers know of buckets: every change is told to all of them, and is heard by all before who asked for it is answered.
// So no worker serves by what was so before a change that somebody was told is done.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Objects } from '../objects/objects.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { HEAR_MS } from './calls.ts'
import type { Channel } from './channel.ts'
import { FrameKind } from './frames.ts'

/** Where buckets are known and changed; by `clock` a worker is late that does not say that it has heard (HEAR_MS). */
export interface BucketNewsParts {
  objects: Pick<Objects, 'listBuckets'>
  coordinator: Pick<Coordinator, 'state' | 'watch'>
  world: Pick<World, 'clock'>
  log: Log
}

/** Tells all workers. */
export class BucketNews {
  readonly #parts: BucketNewsParts
  /** Which news each has heard, and how to end it. */
  readonly #workers = new Map<Channel, { heard: number; kill: () => void }>()
  readonly #unwatch: () => void
  #wake: (() => void)[] = []
  #last = 0
  #told: Coordinator['state']['buckets']

  constructor(parts: BucketNewsParts) {
    this.#parts = parts
    this.#told = parts.coordinator.state.buckets
    this.#unwatch = parts.coordinator.watch(() => this.#tell())
  }

  /** It was told all buckets a moment ago. `kill` ends the process at the other end. */
  join(channel: Channel, kill: () => void): void {
    this.#workers.set(channel, { heard: this.#last, kill })
  }

  leave(channel: Channel): void {
    this.#workers.delete(channel)
    this.#look()
  }

  heard(channel: Channel, news: number): void {
    const worker = this.#workers.get(channel)
    if (worker === undefined) return
    worker.heard = news
    this.#look()
  }

  /** Resolves when all workers know what is known now; whoever does not hear it in time is cut off. */
  async settled(): Promise<void> {
    this.#tell()
    const news = this.#last
    if (this.#knowAll(news)) return
    const over = new AbortController()
    const late = this.#parts.world.clock.sleep(HEAR_MS, over.signal).then(
      () => this.#cutOff(news),
      () => undefined, // All have heard it.
    )
    while (!this.#knowAll(news)) await new Promise<void>((resolve) => this.#wake.push(resolve))
    over.abort()
    await late
  }

  stop(): void {
    this.#unwatch()
  }

  #tell(): void {
    const { buckets } = this.#parts.coordinator.state
    if (buckets === this.#told) return
    this.#told = buckets
    this.#last += 1
    const list = this.#parts.objects.listBuckets()
    for (const channel of this.#workers.keys()) channel.send(FrameKind.Buckets, this.#last, list)
  }

  #knowAll(news: number): boolean {
    return [...this.#workers.values()].every(({ heard }) => heard >= news)
  }

  #look(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  #cutOff(news: number): void {
    for (const [channel, { heard, kill }] of this.#workers) {
      if (heard >= news) continue
      this.#parts.log.error({}, 'a worker does not hear of buckets and is killed')
      // It would serve by what is over, and answer by objects of which nobody tells it any more.
      kill()
      channel.close()
      this.leave(channel)
    }
  }
}
