// What etcd has under our prefix, as far as this process knows: read, watched, read again every minute, remembered on
// disk before anyone acts by it. An etcd that is older than what is remembered is not believed: it was restored
// from a backup. What was known stays in use meanwhile.

import { assert } from '../../kit/assert.ts'
import { beforeDeadline } from '../../kit/before-deadline.ts'
import type { Log } from '../../kit/log.ts'
import { Turns } from '../../kit/turns.ts'
import type { World } from '../../kit/world.ts'
import { CoordinatorUnavailable } from '../coordinator.ts'
import type { EtcdClient } from './etcd-client.ts'
import { EtcdUnavailable } from './etcd-errors.ts'
import { type Change, type Compare, endOfPrefix } from './etcd-wire.ts'
import { type EtcdKnowledge, findAhead, findRestored, knowledgeOf } from './history.ts'
import { type KeyImage, keepIdentity, readNews, readWhole, withChanges } from './key-image.ts'
import { readKnownCopy } from './known-copy.ts'
import { Memory } from './memory.ts'
import { fromJson, HEAD_KEY, type Head, readAgreed } from './state-keys.ts'

/** Where the cluster is in etcd, and where this process remembers it. */
export interface MirrorOptions {
  /** Ends in a slash; `/kintsugi/` when left out. */
  prefix?: string
  /** A directory of this process alone; it is there. Without one nothing is remembered from start to start. */
  directory?: string
  /** Everything is read again so often, whatever the watch says. */
  rereadMs?: number
}

/** The etcd that is read and watched, and the disk on which it is remembered. `random`: the jitter of what is tried again. */
export interface MirrorParts {
  world: Pick<World, 'clock' | 'disk' | 'random'>
  etcd: EtcdClient
  log: Log
}

/**
 * How this process stands with etcd. Only with `current` can anything be decided. `away`: it does not answer, or does not let itself be read,
 * as when its user may not any more.
 */
export type Standing =
  | { kind: 'current' }
  | { kind: 'away'; sinceMs: number; why: string }
  | { kind: 'restored'; sinceMs: number; why: string }

/** A change that is made when these keys are as they were, by their names behind the prefix. Absent keys have 0. */
export interface Commit {
  compare: readonly Compare[]
  changes: readonly Change[]
  /** With the same change, but not part of the image: full names. */
  besides?: readonly Change[]
}

/** Where a cluster is in etcd when nobody says otherwise (`--etcd-prefix`). */
export const DEFAULT_PREFIX = '/kintsugi/'

/** The keys that every process has in its image, behind the prefix. */
export const IMAGE = 'now/'

const REREAD_MS = 60_000

// Of the disk and of etcd, when it is closed: an answer of etcd takes 2 s at most.
const CLOSE_MS = 10_000

// Who hears after so long that etcd does not answer was kept waiting by it; a refused connection is heard of at once.
const SILENCE_MS = 1_000

// After a watch broke. Its jitter keeps a thousand processes from coming back in the same moment.
const RETRY_MS = 1_000

/** A process's image of the cluster in etcd. */
export class EtcdMirror {
  readonly etcd: EtcdClient
  /** Of everything of the cluster. */
  readonly prefix: string
  readonly #options: MirrorOptions
  readonly #parts: MirrorParts
  readonly #listeners = new Set<(image: KeyImage) => void>()
  readonly #stopping = new AbortController()
  readonly #memory: Memory | undefined
  readonly #work: Promise<void>[] = []
  #image: KeyImage | undefined
  #standing: Standing
  readonly #turns = new Turns()
  #silences = 0
  #watching = new AbortController()
  /** With its connection etcd may have been replaced by another: what is read next is read whole. */
  #watchesEnded = 0
  /** So many had ended when it was read last. */
  #readAfter = 0
  /** What others know and etcd did not have when it was asked, by their names. */
  readonly #heard = new Map<string, EtcdKnowledge>()

  private constructor(options: MirrorOptions, parts: MirrorParts) {
    this.#options = options
    this.#parts = parts
    this.etcd = parts.etcd
    this.prefix = options.prefix ?? DEFAULT_PREFIX
    assert(this.prefix.endsWith('/'), 'a prefix ends in a slash')
    const { directory } = options
    this.#memory = directory ? new Memory(directory, parts, this.#stopping.signal) : undefined
    this.#standing = { kind: 'away', sinceMs: parts.world.clock.now(), why: 'not asked yet' }
  }

  /** From etcd, or from what was known when it is away. Rejects with CoordinatorUnavailable when there is neither. */
  static async open(options: MirrorOptions, parts: MirrorParts): Promise<EtcdMirror> {
    const mirror = new EtcdMirror(options, parts)
    await mirror.#recall()
    try {
      await mirror.refresh()
    } catch (error) {
      if (!(error instanceof CoordinatorUnavailable) || mirror.#image === undefined) throw error
      parts.log.warn({ why: error.message }, 'serving from the last known state')
    }
    mirror.#work.push(mirror.#follow(), mirror.#reread())
    return mirror
  }

  /** As last read. */
  get image(): KeyImage {
    assert(this.#image !== undefined, 'an open mirror has an image')
    return this.#image
  }

  get standing(): Standing {
    return this.#standing
  }

  /** What others may hear of it: undefined where there is no cluster yet. */
  get knowledge(): EtcdKnowledge | undefined {
    return knowledgeOf(this.image)
  }

  /** How often etcd kept somebody waiting in vain. */
  get silences(): number {
    return this.#silences
  }

  /**
   * Throws CoordinatorUnavailable when etcd kept somebody waiting in vain since there were so many silences: who stood in line meanwhile is
   * told at once, and does not wait for it in his turn.
   */
  refuseAfter(silences: number): void {
    if (this.#silences === silences) return
    throw new CoordinatorUnavailable('etcd did not answer those before', { why: 'away' })
  }

  /**
   * The process `from` knows this of etcd. Where it is more than what is known here etcd is read anew, and is not believed if it has less: it was
   * restored from a backup, and who was not there did not notice. Resolves when that is known, or etcd is away.
   */
  async hear(heard: EtcdKnowledge, from: string): Promise<void> {
    if (findAhead(heard, this.image) === undefined) {
      this.#heard.delete(from)
      return
    }
    this.#heard.set(from, heard)
    // What comes of it is in the standing.
    await this.refresh({ whole: true }).catch(() => undefined)
  }

  /** Calls back after every change of the image; returns how to stop. */
  onChange(listener: (image: KeyImage) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Sees every change that was acknowledged before the call. Rejects with CoordinatorUnavailable when etcd is away or not
   * believed: the image stays as it was.
   */
  refresh(options: { whole?: boolean } = {}): Promise<KeyImage> {
    return this.#inTurn(async () => {
      this.#refuseClosed('away')
      return await this.#read(options.whole ?? false)
    })
  }

  /**
   * Changes keys if those compared are as they were. `lost` also when a lost answer hid that the change was made: who asks
   * must find its own change by itself. Rejects with CoordinatorUnavailable; `open` says that nobody knows.
   */
  commit({ compare, changes, besides = [] }: Commit): Promise<'made' | 'lost'> {
    return this.#inTurn(async () => {
      this.#refuseClosed('away')
      if (this.#standing.kind === 'restored') throw this.#notBelieved(this.#standing.why)
      const full = (name: string): string => `${this.prefix}${IMAGE}${name}`
      const txn = {
        compare: compare.map(({ key, modRevision }) => ({ key: full(key), modRevision })),
        changes: [...changes.map((change) => ({ ...change, key: full(change.key) })), ...besides],
      }
      const answer = await this.#ask('open', () => this.etcd.txn(txn))
      this.#refuseClosed('open')
      // Another etcd than the one that was compared with: what it did is worth nothing.
      const { clusterId, revision } = this.image
      if (answer.clusterId !== clusterId || answer.revision < revision)
        await this.#read(true).catch((cause: Error) => {
          throw new CoordinatorUnavailable(cause.message, { cause, why: 'open' })
        })
      if (!answer.succeeded) return 'lost'
      // Others may have changed other keys before: the revision up to which all is known stays.
      this.#refuseClosed('open')
      await this.#adopt(withChanges(this.image, changes, answer.revision))
      return 'made'
    })
  }

  /** Ends watching, and waits for what is being written. What was known stays on disk, where another may write it from now on. */
  async close(): Promise<void> {
    this.#stopping.abort()
    this.#watching.abort()
    const ended = Promise.all(this.#work)
      .then(() => this.#turns.ended())
      .then(() => this.#memory?.ended())
    await beforeDeadline(ended, CLOSE_MS, this.#parts.world)
    this.#listeners.clear()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const silences = this.#silences
    return this.#turns.run(async () => {
      this.refuseAfter(silences)
      return await work()
    })
  }

  #refuseClosed(why: 'away' | 'open'): void {
    if (this.#stopping.signal.aborted)
      throw new CoordinatorUnavailable('it is closed here', { why })
  }

  async #read(isWhole: boolean): Promise<KeyImage> {
    const known = this.#image
    // A restored etcd has less, and revisions that were known of another: only what is read whole tells.
    const ended = this.#watchesEnded
    const isDoubted = isWhole || this.#standing.kind !== 'current' || ended !== this.#readAfter
    const found = await this.#ask('away', async () =>
      keepIdentity(await this.#find(isDoubted ? undefined : known), known),
    )
    const doubt = await this.#ask('away', async () => this.#doubt(known, found))
    if (doubt !== undefined) throw this.#notBelieved(doubt)
    this.#refuseClosed('away')
    await this.#adopt(found)
    this.#readAfter = ended
    this.#stand({ kind: 'current' })
    return found
  }

  async #find(known: KeyImage | undefined): Promise<KeyImage> {
    const prefix = `${this.prefix}${IMAGE}`
    if (known === undefined) return await readWhole(this.etcd, prefix)
    const news = await readNews(this.etcd, prefix, known)
    // A restore writes everything, and what of it has a revision that was known is no news: nobody may decide by a part.
    return generationIn(news) === generationIn(known) ? news : await readWhole(this.etcd, prefix)
  }

  async #doubt(known: KeyImage | undefined, found: KeyImage): Promise<string | undefined> {
    for (const [from, heard] of this.#heard) {
      const ahead = findAhead(heard, found)
      if (ahead !== undefined) return `${ahead}, as ${from} knows`
      this.#heard.delete(from)
    }
    const isSame = known?.clusterId === found.clusterId && known.keys === found.keys
    if (isSame && known.revision <= found.revision) return undefined
    const parts = { etcd: this.etcd, prefix: this.prefix }
    const restored = known && (await findRestored(known, found, parts))
    if (restored !== undefined) return restored
    return readAgreed(found)?.head.isBeingRestored ? 'it is being restored' : undefined
  }

  /** On disk first: who acts by what it then forgets could not tell an older etcd. */
  async #adopt(image: KeyImage): Promise<void> {
    const before = this.#image
    this.#image = image
    if (image.keys === before?.keys) return
    await this.#memory?.keep(image)
    for (const listener of this.#listeners) listener(image)
  }

  async #recall(): Promise<void> {
    const { directory } = this.#options
    if (directory === undefined) return
    const { world, log } = this.#parts
    const copy = await readKnownCopy(world, directory)
    if (copy.kind === 'found') this.#image = copy.image
    if (copy.kind === 'damaged')
      log.error({ path: copy.path }, 'the last known state can not be read: etcd is believed')
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping
    // What was read just now need not be read again; after every watch that ended it may be another etcd.
    let isRead = this.#standing.kind === 'current'
    while (!signal.aborted) {
      this.#watching = new AbortController()
      const watching = AbortSignal.any([signal, this.#watching.signal])
      try {
        if (!isRead) await this.refresh({ whole: true })
        isRead = false
        await this.#watch(watching)
      } catch (error) {
        if (!watching.aborted)
          this.#parts.log.debug({ error: String(error) }, 'a watch of etcd ended')
      }
      this.#watchesEnded += 1
      await this.#pause(RETRY_MS, signal)
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const prefix = `${this.prefix}${IMAGE}`
    const span = { key: prefix, rangeEnd: endOfPrefix(prefix) }
    const fromRevision = this.image.revision + 1
    for await (const { events, revision } of this.etcd.watch({ ...span, fromRevision }, signal)) {
      // In a storm of elections one reading sees what many events tell.
      const isSeen = revision <= this.image.revision && this.#standing.kind === 'current'
      if (events.length > 0 && !isSeen) await this.refresh()
    }
  }

  /** A watch may die in silence: what it should have told is found here, and it is begun anew. */
  async #reread(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#pause(this.#options.rereadMs ?? REREAD_MS, signal)
      if (signal.aborted) return
      const before = this.#image?.keys
      // Errors are in the standing, and the next round comes.
      await this.refresh({ whole: true }).catch(() => undefined)
      if (this.#image?.keys !== before) this.#watching.abort()
      // What lies on the disk may have rotted meanwhile.
      else await this.#turns.run(async () => await this.#memory?.keep(this.image))
    }
  }

  /** What etcd does to `work` becomes a standing and an error of ours. */
  async #ask<T>(why: 'away' | 'open', work: () => Promise<T>): Promise<T> {
    const { clock } = this.#parts.world
    const begunMs = clock.monotonicMs()
    try {
      return await work()
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      const isAway = cause instanceof EtcdUnavailable
      if (isAway && clock.monotonicMs() - begunMs >= SILENCE_MS) this.#silences += 1
      // Who is refused what he reads hears no more of what is decided than who gets no answer.
      if (isAway || why === 'away')
        this.#stand({ kind: 'away', sinceMs: clock.now(), why: message })
      throw new CoordinatorUnavailable(message, { cause, why: isAway ? why : 'refused' })
    }
  }

  #notBelieved(why: string): CoordinatorUnavailable {
    this.#stand({ kind: 'restored', sinceMs: this.#parts.world.clock.now(), why })
    const message = `etcd is not what was known here before: ${why}; see kintsugi cluster restore-coordinator`
    return new CoordinatorUnavailable(message, { why: 'restored' })
  }

  #stand(standing: Standing): void {
    const before = this.#standing
    // Why it is away may be known better now.
    if (standing.kind === 'away' && before.kind === 'away')
      this.#standing = { ...before, why: standing.why }
    // An etcd that was not believed and then goes away is not believed when it comes back either.
    if (standing.kind === before.kind || (before.kind === 'restored' && standing.kind === 'away'))
      return
    this.#standing = standing
    const { log } = this.#parts
    if (standing.kind === 'current') log.info({}, 'etcd answers')
    else if (standing.kind === 'away') log.warn({ why: standing.why }, 'etcd is away')
    else
      log.error({ why: standing.why }, 'etcd is not believed: it is not what was known here before')
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts.world
    const jitter = (random.bytes(1)[0] ?? 0) / 255
    // An aborted pause only means that it is time to stop.
    await clock.sleep(ms * (0.75 + jitter / 2), signal).catch(() => undefined)
  }
}

function generationIn({ keys }: KeyImage): number | undefined {
  const value = keys.get(HEAD_KEY)?.value
  return value && (fromJson(value) as Head).generation
}
