// Reads and changes of one LevelDB, gathered: what comes while a call is under way goes into the next one together.
// A call is a trip to another thread and back, which costs more than most of what is done there.
import { mebibytes } from '../../kit/bytes.ts'
import { Overloaded } from '../../kit/semaphore.ts'
import type { BytesLevel } from '../drive-lock.ts'

/** What LevelDB has under a key, or why it could not say. */
export type Stored = Uint8Array | undefined | Error

/** A change as LevelDB takes it. */
export type LevelChange =
  | { type: 'put'; key: Uint8Array; value: Uint8Array }
  | { type: 'del'; key: Uint8Array }

// Two: a row that comes from the disk does not keep all others waiting.
const READS_UNDER_WAY = 2
const KEYS_AT_ONCE = 128
const BYTES_AT_ONCE = mebibytes(4)
const WAITING_MAX = 10_000

interface Waiting<Asked, Answer> {
  asked: Asked
  resolve: (answer: Answer) => void
  reject: (error: unknown) => void
}

/** How calls are made on a drive. */
export type Run = <T>(operation: () => Promise<T>) => Promise<T>

/** Reads of keys, those of one caller in one call. */
export class GatheredReads {
  readonly #level: BytesLevel
  readonly #run: Run
  readonly #waiting: Waiting<readonly Uint8Array[], Stored[]>[] = []
  #waitingKeys = 0
  #underWay = 0

  constructor(level: BytesLevel, run: Run) {
    this.#level = level
    this.#run = run
  }

  /** As getMany(), for one key. */
  async get(key: Uint8Array): Promise<Stored> {
    const [stored] = await this.getMany([key])
    return stored
  }

  /** In the order of `keys`. Throws only what the drive throws: an error of LevelDB is an answer. */
  async getMany(keys: readonly Uint8Array[]): Promise<Stored[]> {
    if (keys.length <= KEYS_AT_ONCE) return await this.#ask(keys)
    const parts: Promise<Stored[]>[] = []
    for (let from = 0; from < keys.length; from += KEYS_AT_ONCE)
      parts.push(this.#ask(keys.slice(from, from + KEYS_AT_ONCE)))
    return (await Promise.all(parts)).flat()
  }

  #ask(keys: readonly Uint8Array[]): Promise<Stored[]> {
    if (this.#waitingKeys + keys.length > WAITING_MAX) return refuse()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ asked: keys, resolve, reject })
      this.#waitingKeys += keys.length
      if (this.#underWay < READS_UNDER_WAY) void this.#read()
    })
  }

  async #read(): Promise<void> {
    this.#underWay += 1
    // Callers of the same turn of the event loop share the first call.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      try {
        const keys = allAsked(group)
        this.#waitingKeys -= keys.length
        const found = await this.#run(() => this.#readAll(keys))
        let at = 0
        for (const { asked, resolve } of group) {
          resolve(found.slice(at, at + asked.length))
          at += asked.length
        }
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#underWay -= 1
  }

  #takeGroup(): Waiting<readonly Uint8Array[], Stored[]>[] {
    let keys = 0
    let count = 0
    for (const { asked } of this.#waiting) {
      keys += asked.length
      if (count > 0 && keys > KEYS_AT_ONCE) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  async #readAll(keys: Uint8Array[]): Promise<Stored[]> {
    try {
      return await this.#level.getMany(keys)
    } catch {
      // One of them can not be read: the others can. One after the other, for a drive has few threads, and this one is sick.
      const found: Stored[] = []
      for (const key of keys) found.push(await this.#readOne(key))
      return found
    }
  }

  async #readOne(key: Uint8Array): Promise<Stored> {
    try {
      return await this.#level.get(key)
    } catch (error) {
      if (error instanceof Error) return error
      throw error
    }
  }
}

/** Batches of changes, each of them whole or not at all, in the order in which they come. */
export class GatheredChanges {
  readonly #level: BytesLevel
  readonly #run: Run
  readonly #gather: () => Promise<void>
  readonly #waiting: Waiting<readonly LevelChange[], void>[] = []
  #working: Promise<void> = Promise.resolve()
  #isWorking = false

  /** `gather`: a moment in which more can come, for the next call. */
  constructor(level: BytesLevel, run: Run, gather: () => Promise<void>) {
    this.#level = level
    this.#run = run
    this.#gather = gather
  }

  /** Resolves when all of `changes` can be read. Where it throws, none of them or all are done. */
  apply(changes: readonly LevelChange[]): Promise<void> {
    if (this.#waiting.length >= WAITING_MAX) return refuse()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ asked: changes, resolve, reject })
      if (!this.#isWorking) this.#working = this.#work()
    })
  }

  /** Resolves when all that came before has ended, well or not. */
  async ended(): Promise<void> {
    await this.#working
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    while (this.#waiting.length > 0) {
      await this.#gather()
      const group = this.#takeGroup()
      try {
        const changes = allAsked(group)
        await this.#run(() => this.#level.batch(changes))
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#isWorking = false
  }

  #takeGroup(): Waiting<readonly LevelChange[], void>[] {
    let bytes = 0
    let count = 0
    for (const { asked } of this.#waiting) {
      bytes += bytesOf(asked)
      if (count > 0 && bytes > BYTES_AT_ONCE) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }
}

function allAsked<One>(group: readonly Waiting<readonly One[], never>[]): One[] {
  const all: One[] = []
  for (const { asked } of group) for (const one of asked) all.push(one)
  return all
}

function bytesOf(changes: readonly LevelChange[]): number {
  let bytes = 0
  for (const change of changes) {
    bytes += change.key.length + (change.type === 'put' ? change.value.length : 0)
  }
  return bytes
}

function refuse(): Promise<never> {
  return Promise.reject(new Overloaded('too many rows of a drive are asked for or changed'))
}
