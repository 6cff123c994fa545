// Blobs that this process writes and whose commit is not decided yet. No row names them, and still they are no
// orphans: who looks for those asks here first. Uids are made here, so none is ever missing.
import { newUid, type Uid, uidTimeMs } from '../kit/uid.ts'
import type { World } from '../kit/world.ts'

/** Writes of unknown outcome that are remembered. With more than this nothing is an orphan any more until a restart. */
const OPEN_OUTCOMES_MAX = 100_000

/** Every write of this process between its first byte and the outcome of its commit. */
export class WritesUnderWay {
  readonly #world: Pick<World, 'clock' | 'random'>
  readonly #uids = new Set<Uid>()
  #openOutcomes = 0
  /** Some open outcomes were too many to remember. */
  #forgotSome = false
  #offsetMs: number

  constructor(world: Pick<World, 'clock' | 'random'>) {
    this.#world = world
    this.#offsetMs = world.clock.now() - world.clock.monotonicMs()
  }

  /** A write begins under this uid, before a drive sees any of it. */
  begin(): Uid {
    const uid = newUid(this.#world)
    this.#uids.add(uid)
    this.#note(uidTimeMs(uid))
    return uid
  }

  /** It is known whether a row names the blob. */
  end(uid: Uid): void {
    this.#uids.delete(uid)
  }

  /**
   * Nobody knows the outcome now. `outcome` tells it if it is known later: it is fulfilled when the commit was done or
   * refused. Without it, or when that rejects, the uid stays until the process ends.
   */
  leaveOpen(uid: Uid, outcome?: Promise<unknown>): void {
    if (!this.#uids.has(uid)) return
    // Each costs memory, and so many mean that no commit can be trusted: that alone then keeps every shard.
    if (this.#openOutcomes === OPEN_OUTCOMES_MAX) {
      this.#forgotSome = true
      this.#uids.delete(uid)
      return
    }
    this.#openOutcomes += 1
    const end = (): void => {
      this.#openOutcomes -= 1
      this.end(uid)
    }
    outcome?.then(end, () => {}) // A log that failed answers no more.
  }

  /** All of them, as they are now. */
  underWay(): readonly Uid[] {
    return [...this.#uids]
  }

  /** Whether a commit may still name the blob. */
  has(uid: Uid): boolean {
    return this.#uids.has(uid) || this.#forgotSome
  }

  /**
   * How long ago a blob was begun, for certain. Blobs of this process are never older than the time that has passed
   * since, however the clock of the machine jumps: it runs here with the monotonic clock, at the lowest offset that
   * was ever seen, and each begin() sees one. So a jump can only make blobs look younger.
   */
  ageMs(uid: Uid): number {
    this.#note(this.#world.clock.now())
    return this.#world.clock.monotonicMs() + this.#offsetMs - uidTimeMs(uid)
  }

  #note(wallMs: number): void {
    this.#offsetMs = Math.min(this.#offsetMs, wallMs - this.#world.clock.monotonicMs())
  }
}
