// Renames that were done lately, by the token of the client: whoever did not hear that one was done asks again, and
// must not be told that the old name is gone. Kept in memory only, so a restart forgets them.
import type { Clock } from '../kit/world.ts'
import type { Rename, RenameRecall } from './object-store.ts'

const KEPT_MS = 15 * 60 * 1000
const KEPT_MAX = 1_000

interface DoneRename extends Rename {
  doneMs: number
}

/** The renames of one store; the oldest are forgotten first. */
export class RecentRenames {
  readonly #clock: Pick<Clock, 'now'>
  readonly #done = new Map<string, DoneRename>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** What is known of the token. */
  recall(token: string, { bucketId, source, target }: Rename): RenameRecall {
    const known = this.#done.get(token)
    if (known === undefined || known.doneMs + KEPT_MS < this.#clock.now()) return 'unknown'
    const same = known.bucketId === bucketId && known.source === source && known.target === target
    return same ? 'done' : 'another'
  }

  /** Keeps it in mind. */
  note(token: string, rename: Rename): void {
    this.#done.delete(token)
    this.#done.set(token, { ...rename, doneMs: this.#clock.now() })
    if (this.#done.size <= KEPT_MAX) return
    const [oldest] = this.#done.keys()
    if (oldest !== undefined) this.#done.delete(oldest)
  }
}
