// Large shards that were read lately, kept open with their headers: a range of one then costs a read, not four operations.
// A file that is written anew or removed here is forgotten at once. One that was removed by others is noticed by its links,
// which are looked at again before a file is handed out that nobody looked at for a while.
import { assert } from '../kit/assert.ts'
import type { Clock, DiskFile } from '../kit/world.ts'
import type { RecordHeader } from './segment/record-format.ts'

/** An open file of a shard, and what its header says. */
export interface OpenShard {
  file: DiskFile
  header: RecordHeader
}

/** What opening the file of a shard gave. */
export type ShardFileOpened =
  | ({ kind: 'found' } & OpenShard)
  | { kind: 'missing' }
  | { kind: 'corrupt'; detail: string }

interface Entry {
  readonly opening: Promise<ShardFileOpened>
  /** What `opening` gave, once it did. */
  opened: OpenShard | undefined
  users: number
  lookedAtMs: number
  /** It is not found any more, and closes with its last user. */
  isForgotten: boolean
}

/** An open shard in use. close() is called once. */
export interface HeldShard extends OpenShard {
  /** Whether the file has a name still. */
  isThere(): Promise<boolean>
  /** A promise only where a file is closed. */
  close(): Promise<void> | undefined
}

/** What holding a shard gave. */
export type ShardHeld =
  | ({ kind: 'found' } & HeldShard)
  | Exclude<ShardFileOpened, { kind: 'found' }>

// For each drive: the shards of as many large objects, and no more than a process may have open with many drives.
const MAX_IDLE = 96
const LOOK_AFTER_MS = 1_000

/** How shards are opened and looked at. */
export interface OpenShardsParts {
  clock: Pick<Clock, 'monotonicMs'>
  /** Gives what lies on the drive now, and closes what it does not return. */
  open(name: string): Promise<ShardFileOpened>
  /** Whether the file has a name still. */
  isNamed(file: DiskFile): Promise<boolean>
}

/** The open shards of one drive, by name. */
export class OpenShards {
  readonly #parts: OpenShardsParts
  /** In order of last use. */
  readonly #entries = new Map<string, Entry>()

  constructor(parts: OpenShardsParts) {
    this.#parts = parts
  }

  /** Files that are open. */
  get size(): number {
    return this.#entries.size
  }

  /** Opens a shard, or takes it as it is open. Throws what opening and looking throw. */
  async hold(name: string): Promise<ShardHeld> {
    const known = this.#entries.get(name)
    const entry = known ?? this.#begin(name)
    this.#use(name, entry)
    try {
      const opened = await entry.opening
      if (opened.kind === 'found' && (await this.#isCurrent(entry, opened.file))) {
        entry.opened = opened
        return { kind: 'found', ...this.#held(name, entry, opened) }
      }
      await this.#drop(name, entry)
      return opened.kind === 'found' ? await this.hold(name) : opened
    } catch (error) {
      await this.#drop(name, entry)
      throw error
    }
  }

  /** Takes a shard as it is open, if it was looked at a moment ago. */
  holdAtHand(name: string): HeldShard | undefined {
    const entry = this.#entries.get(name)
    if (entry?.opened === undefined || !this.#wasLookedAt(entry)) return undefined
    this.#use(name, entry)
    return this.#held(name, entry, entry.opened)
  }

  /** What is open under this name is not what is on the drive any more. To be called after every change. */
  forget(name: string): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined) void this.#forget(name, entry)
  }

  /** Closes all files; those in use close with their last user. */
  async close(): Promise<void> {
    await Promise.all([...this.#entries].map(([name, entry]) => this.#forget(name, entry)))
  }

  #begin(name: string): Entry {
    const opening = this.#parts.open(name)
    opening.catch(() => {}) // Whoever holds it gets the error.
    const lookedAtMs = this.#parts.clock.monotonicMs()
    return { opening, opened: undefined, users: 0, lookedAtMs, isForgotten: false }
  }

  #use(name: string, entry: Entry): void {
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    entry.users += 1
  }

  #wasLookedAt(entry: Entry): boolean {
    return this.#parts.clock.monotonicMs() - entry.lookedAtMs < LOOK_AFTER_MS
  }

  async #isCurrent(entry: Entry, file: DiskFile): Promise<boolean> {
    if (this.#wasLookedAt(entry)) return true
    const nowMs = this.#parts.clock.monotonicMs()
    if (!(await this.#parts.isNamed(file))) return false
    entry.lookedAtMs = nowMs
    return true
  }

  #held(name: string, entry: Entry, { file, header }: OpenShard): HeldShard {
    return {
      file,
      header,
      isThere: async () => {
        const isThere = await this.#parts.isNamed(file)
        if (!isThere && this.#entries.get(name) === entry) this.#entries.delete(name)
        if (!isThere) entry.isForgotten = true
        return isThere
      },
      close: () => {
        const closing = this.#release(entry)
        if (this.#entries.size <= MAX_IDLE) return closing
        return Promise.resolve(closing).then(() => this.#evict())
      },
    }
  }

  /** One user less of an entry that is no good. */
  async #drop(name: string, entry: Entry): Promise<void> {
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
    entry.isForgotten = true
    await this.#release(entry)
  }

  async #forget(name: string, entry: Entry): Promise<void> {
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
    entry.isForgotten = true
    if (entry.users === 0) await closeFile(entry)
  }

  #release(entry: Entry): Promise<void> | undefined {
    entry.users -= 1
    assert(entry.users >= 0, 'a shard is closed as often as it was opened')
    return entry.isForgotten && entry.users === 0 ? closeFile(entry) : undefined
  }

  async #evict(): Promise<void> {
    for (const [name, entry] of this.#entries) {
      if (this.#entries.size <= MAX_IDLE) return
      if (entry.users === 0) await this.#forget(name, entry)
    }
  }
}

async function closeFile({ opening }: Entry): Promise<void> {
  const opened = await opening.catch(() => undefined)
  // It was only read: what closing it meets harms nobody.
  if (opened?.kind === 'found') await opened.file.close().catch(() => {})
}
