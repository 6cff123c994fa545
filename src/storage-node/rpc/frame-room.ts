// Memory of a node for frames of all exchanges together: of what comes in, and of answers until they have left.
import { kibibytes } from '../../kit/bytes.ts'
import { Semaphore } from '../../kit/semaphore.ts'
import type { FrameRoom } from './frames.ts'

// Fine enough that many small messages to a drive that hangs take little of it.
const ROOM_UNIT_BYTES = kibibytes(4)
const STREAM_WAITERS_MAX = 10_000

/** Room for answers that one request holds until they were sent. */
export class HeldAnswers {
  readonly #room: FrameRoom
  /** Aborted when nobody is there any more who would read them. */
  readonly #signal: AbortSignal
  readonly #held: (() => void)[] = []

  constructor(room: FrameRoom, signal: AbortSignal) {
    this.#room = room
    this.#signal = signal
  }

  async hold(bytes: number): Promise<void> {
    this.#held.push(await this.#room.acquire(bytes, this.#signal))
  }

  release(): void {
    for (const release of this.#held.splice(0)) release()
  }
}

/** Room of so many bytes; the next ones wait. */
export function roomOf(totalBytes: number): FrameRoom {
  const total = Math.ceil(totalBytes / ROOM_UNIT_BYTES)
  const permits = new Semaphore(total, { maxWaiting: STREAM_WAITERS_MAX })
  const countFor = (bytes: number): number =>
    Math.min(total, Math.max(1, Math.ceil(bytes / ROOM_UNIT_BYTES)))
  return {
    get isShort() {
      return permits.waiting > 0
    },
    acquire: async (bytes, signal) => {
      const count = countFor(bytes)
      await permits.acquire(count, signal)
      return () => permits.release(count)
    },
    tryAcquire: (bytes) => {
      const count = countFor(bytes)
      return permits.tryAcquire(count) ? () => permits.release(count) : undefined
    },
  }
}
