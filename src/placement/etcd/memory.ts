// What a process remembers of etcd from start to start, on a disk that may fail or hang: neither keeps it from following
// the map, it only forgets more when it ends.
import { beforeDeadline } from '../../kit/before-deadline.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { KeyImage } from './key-image.ts'
import { writeKnownCopy } from './known-copy.ts'

/** Who writes to a disk for longer is gone on without: the next one who reads must not wait for it. */
const WRITE_MS = 5_000

/** The known copy in one directory, one write at a time. */
export class Memory {
  readonly #directory: string
  readonly #parts: { world: Pick<World, 'clock' | 'disk'>; log: Log }
  readonly #stopped: AbortSignal
  #wanted: KeyImage | undefined
  #writing: Promise<void> | undefined

  /** Nothing more is begun when `stopped` is aborted. */
  constructor(
    directory: string,
    parts: { world: Pick<World, 'clock' | 'disk'>; log: Log },
    stopped: AbortSignal,
  ) {
    this.#directory = directory
    this.#parts = parts
    this.#stopped = stopped
  }

  /** Resolves when it is on disk, or will not be soon, which is logged: then it is written when the disk goes on, unless there is a later one. */
  async keep(image: KeyImage): Promise<void> {
    this.#wanted = image
    // It was waited for already.
    if (this.#writing !== undefined) return
    const writing = this.#writeAll().finally(() => {
      this.#writing = undefined
    })
    this.#writing = writing
    const { world, log } = this.#parts
    if (await beforeDeadline(writing, WRITE_MS, world)) return
    log.error({}, 'what etcd says can not be remembered on disk: the disk does not answer')
  }

  /** Resolves when nothing is being written. */
  async ended(): Promise<void> {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#wanted !== undefined && !this.#stopped.aborted) {
      const image = this.#wanted
      this.#wanted = undefined
      await this.#write(image)
    }
  }

  async #write(image: KeyImage): Promise<void> {
    const { world, log } = this.#parts
    try {
      await writeKnownCopy(world, this.#directory, image)
    } catch (error) {
      // A full disk must not keep a process from following the map: it only forgets more when it ends.
      log.error({ error: String(error) }, 'what etcd says can not be remembered on disk')
    }
  }
}
