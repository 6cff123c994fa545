// Renames that were done lately, by the token of the client: whoever did not hear that one was done asks again, and
// must not be told that the old name is gone. Kept in memory only, so a restart forgets them.
import { S3Error } from '../../s3-error.ts'

const KEPT_MS = 15 * 60 * 1000
const KEPT_MAX = 1_000

/** What a token stands for: asked again it must be the same. */
export interface Rename {
  bucketId: number
  source: string
  target: string
}

interface DoneRename extends Rename {
  doneMs: number
}

/** The renames of one process; the oldest are forgotten first. */
export class RecentRenames {
  readonly #done = new Map<string, DoneRename>()

  /** Whether this rename was done with this token. Throws when the token stood for another. */
  has(token: string, rename: Rename, nowMs: number): boolean {
    const known = this.#done.get(token)
    if (known === undefined || known.doneMs + KEPT_MS < nowMs) return false
    const { bucketId, source, target } = rename
    const same = known.bucketId === bucketId && known.source === source && known.target === target
    if (same) return true
    throw new S3Error('IdempotencyParameterMismatch')
  }

  /** Keeps it in mind. */
  note(token: string, rename: Rename, nowMs: number): void {
    this.#done.delete(token)
    this.#done.set(token, { ...rename, doneMs: nowMs })
    if (this.#done.size <= KEPT_MAX) return
    const [oldest] = this.#done.keys()
    if (oldest !== undefined) this.#done.delete(oldest)
  }
}
