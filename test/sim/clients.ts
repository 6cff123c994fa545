// Clients of the store: they ask at random, write down what they were answered, and look at every byte.

import type { WriteConditions } from '../../src/metadata/contract.ts'
import type { Bucket, FindOutcome, ObjectVersion } from '../../src/objects/object-store.ts'
import type { Objects } from '../../src/objects/objects.ts'
import type { Seeded } from '../support/seeded.ts'
import {
  bodyOf,
  bytesOfContent,
  type Content,
  contentOf,
  contentOfParts,
  type Piece,
} from './bodies.ts'
import {
  ABSENT,
  type Action,
  type Condition,
  type Entry,
  KeyHistory,
  type Label,
} from './history.ts'
import type { SimTime } from './time.ts'

const KEYS = ['a', 'b/1', 'b/2', 'c', 'd']
const PLAIN = 'plain'
const VERSIONED = 'versioned'

/** How often what is asked; zero: never. */
export interface Mix {
  put: number
  get: number
  range: number
  delete: number
  conditional: number
  multipart: number
  list: number
  copy: number
  version: number
  late: number
  race: number
  /** Percent of bodies that are striped. */
  striped: number
  /** Between two requests of a client, at most. */
  pauseMs: number
  /** Over so many keys of a bucket requests are spread. */
  keys: number
}

type Asked = keyof Omit<Mix, 'striped' | 'pauseMs' | 'keys'>

/** Objects as a process serves them that may end. */
export interface Serving {
  objects: Objects
  process: { ended: Promise<void> }
}

/** The store over many processes. */
export interface ServedStore {
  /** Who serves now, where that is one process. */
  serving: Serving | undefined
  /** Who serves now, or the next one that will. */
  served(): Promise<Serving>
}

/** What clients are given. */
export interface ClientParts {
  time: SimTime
  store: ServedStore
  complain: (trouble: string) => void
  say: (line: string) => void
  /** Whether no drive is damaged and no clock was ever set. */
  isFine: () => boolean
  /** How long garbage is kept at least. */
  graceMs: number
  /** Called when a write was acknowledged. */
  answered: () => void
}

/** What a call came to: an answer, or nobody knows. */
type Outcome<T> = { kind: 'answered'; answer: T } | { kind: 'failed'; error: unknown }

const ATTRIBUTES = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }

/** All that clients wrote and were told. */
export class Clients {
  readonly histories = new Map<string, KeyHistory>()
  readonly counts = { asked: 0, answered: 0, failed: 0, readFailures: 0, undecided: 0 }
  readonly #parts: ClientParts
  readonly #contents = new Map<Label, Content>()
  readonly #versions = new Map<string, { bucket: string; key: string; label: Label }>()
  /** What a process found can only be read while it lives. */
  readonly #foundBy = new WeakMap<object, Serving>()
  /** What was acknowledged last. */
  #last: { bucket: string; key: string } | undefined
  readonly #keysOf = new WeakMap<Entry, { bucket: string; key: string }>()
  #pieces = 0
  #markers = 0

  constructor(parts: ClientParts) {
    this.#parts = parts
    for (const bucket of [PLAIN, VERSIONED])
      for (const key of KEYS)
        this.histories.set(
          `${bucket}/${key}`,
          new KeyHistory(`${bucket}/${key}`, bucket === VERSIONED),
        )
  }

  /** Makes the buckets, if need be again and again. */
  async makeBuckets(): Promise<void> {
    for (const [name, settings] of [
      [PLAIN, {}],
      [VERSIONED, { versioning: 'enabled' as const }],
    ] as const) {
      for (;;) {
        const made = await this.#ask(({ objects }) =>
          objects.createBucket(name, 'us-east-1', settings),
        )
        if (made.kind === 'answered') break
        await this.#parts.time.sleep(100)
      }
    }
  }

  /** One client: `count` requests, one after the other. */
  async run(count: number, random: Seeded, mix: Mix): Promise<void> {
    for (let number = 0; number < count; number += 1) {
      await this.#parts.time.sleep(random.below(mix.pauseMs))
      await this.#one(random, mix)
    }
  }

  /** Reads the key of the write that was acknowledged last. */
  async lookAtLast(): Promise<void> {
    if (this.#last !== undefined) await this.#get(this.#last.bucket, this.#last.key)
  }

  /** Reads every key; as long as drives are damaged, what can not be read now is no loss yet. */
  async lookAtAll(): Promise<void> {
    for (const bucket of [PLAIN, VERSIONED]) for (const key of KEYS) await this.#get(bucket, key)
  }

  /** Reads every key whole; what can not be read is a loss. */
  async readAll(): Promise<void> {
    for (const bucket of [PLAIN, VERSIONED]) {
      for (const key of KEYS) await this.#get(bucket, key, undefined, true)
      await this.#list(bucket, 2)
    }
    for (const [versionId, { bucket, key, label }] of this.#versions)
      if (bucket === VERSIONED) await this.#getVersion(bucket, key, versionId, label, true)
  }

  /** Whether one order explains what every key was seen to be (I3). */
  check(): void {
    for (const history of this.histories.values()) {
      const found = history.check()
      if (found.kind === 'unexplained') this.#parts.complain(`I3: ${found.trouble}`)
      if (found.kind === 'undecided') this.counts.undecided += 1
    }
  }

  async #one(random: Seeded, mix: Mix): Promise<void> {
    const bucket = random.below(4) === 0 ? VERSIONED : PLAIN
    const key = KEYS[random.below(mix.keys)]!
    switch (pickBy(random, mix)) {
      case 'put':
        return await this.#put(bucket, key, this.#newPiece(random, mix), { kind: 'none' })
      case 'get':
        return await this.#get(bucket, key, undefined)
      case 'range':
        return await this.#get(bucket, key, random)
      case 'delete':
        // Every other one by a command for many.
        if (this.#markers % 2 === 0) return await this.#delete(bucket, key)
        return await this.#deleteMany(bucket, [key, KEYS[(KEYS.indexOf(key) + 1) % mix.keys]!])
      case 'conditional':
        return await this.#putConditionally(bucket, key, random, mix)
      case 'multipart':
        return await this.#multipart(bucket, key, random, mix)
      case 'list':
        return await this.#list(bucket, 1 + random.below(4))
      case 'copy':
        return await this.#copy(bucket, key, random.pick(KEYS))
      case 'version':
        return await this.#useVersion(random)
      case 'late':
        return await this.#readLate(key, random)
      case 'race':
        return await this.#race(key)
    }
  }

  /**
   * While `deaf` asks who led a key before, what `hearing` is told is true for it too. Keys that nobody writes through
   * `deaf`: a write that hangs there would keep reads waiting that are to go wrong. Others are written by both.
   */
  async duel(
    { deaf, hearing }: { deaf: Serving; hearing: Serving },
    random: Seeded,
    mix: Mix,
  ): Promise<void> {
    const put = (key: string, by: Serving): Promise<void> =>
      this.#put(PLAIN, key, this.#newPiece(random, mix), { kind: 'none' }, by)
    for (const key of KEYS.slice(mix.keys)) {
      await put(key, hearing)
      await this.#find(PLAIN, key, deaf)
    }
    for (const key of KEYS.slice(0, mix.keys)) {
      // It may wait until all is mended.
      void put(key, deaf)
      await put(key, hearing)
    }
  }

  async #put(
    bucket: string,
    key: string,
    piece: Piece,
    condition: Condition,
    by?: Serving,
  ): Promise<void> {
    const content = this.#know(contentOf(piece))
    const action: Action = { kind: 'put', label: content.etag, condition, outcome: undefined }
    const entry = this.#begin(bucket, key, action)
    const put = await this.#ask(
      ({ objects }) =>
        objects.put({
          bucket: objects.findBucket(bucket)!,
          key,
          attributes: ATTRIBUTES,
          conditions: conditionsOf(condition),
          body: bodyOf(piece),
          signal: new AbortController().signal,
        }),
      by,
    )
    if (put.kind === 'failed') return
    if (put.answer.kind === 'done') this.#made(bucket, key, put.answer.version)
    this.#end(entry, { ...action, outcome: put.answer.kind === 'done' ? 'done' : 'refused' })
  }

  async #putConditionally(bucket: string, key: string, random: Seeded, mix: Mix): Promise<void> {
    const piece = this.#newPiece(random, mix)
    if (random.below(2) === 0) return await this.#put(bucket, key, piece, { kind: 'absent' })
    const found = await this.#find(bucket, key)
    if (found?.kind !== 'found') return
    const label = found.object.version.etag
    await this.#parts.time.sleep(random.below(20))
    await this.#put(bucket, key, piece, { kind: 'is', label })
  }

  /** Two writes of which only one can find nothing there. Without bytes, so that they are decided at one moment. */
  async #race(key: string): Promise<void> {
    await this.#delete(PLAIN, key)
    const put = async (): Promise<void> => {
      this.#pieces += 1
      await this.#put(PLAIN, key, { number: this.#pieces, bytes: 0 }, { kind: 'absent' })
    }
    await Promise.all([put(), put()])
  }

  /** Finds a key and writes down what it was seen to be. */
  async #find(bucket: string, key: string, by?: Serving): Promise<FindOutcome | undefined> {
    const entry = this.#begin(bucket, key, { kind: 'read', label: ABSENT })
    const found = await this.#ask(async (serving) => {
      const answer = await serving.objects.find(serving.objects.findBucket(bucket)!, key)
      if (answer.kind === 'found') this.#foundBy.set(answer.object, serving)
      return answer
    }, by)
    if (found.kind === 'failed') {
      this.#forget(bucket, key, entry)
      return undefined
    }
    const { answer } = found
    const label = answer.kind === 'found' ? answer.object.version.etag : ABSENT
    this.#end(entry, { kind: 'read', label })
    return answer
  }

  async #get(bucket: string, key: string, range?: Seeded, isNeeded = false): Promise<void> {
    const found = await this.#find(bucket, key)
    if (found === undefined && isNeeded)
      this.#parts.complain(`I1: ${bucket}/${key} can not be found`)
    if (found?.kind === 'found') await this.#read(`${bucket}/${key}`, found.object, range, isNeeded)
  }

  /** Finds a key, deletes it, and begins to read what was found just before the grace is over. */
  async #readLate(key: string, random: Seeded): Promise<void> {
    const found = await this.#find(PLAIN, key)
    if (found?.kind !== 'found') return
    const { time, graceMs } = this.#parts
    const untilMs = time.nowMs + (graceMs * (50 + random.below(45))) / 100
    await this.#delete(PLAIN, key)
    if (time.nowMs >= untilMs) return
    await time.sleep(untilMs - time.nowMs)
    await this.#read(`${PLAIN}/${key}`, found.object, undefined, false)
  }

  async #read(
    name: string,
    object: Extract<FindOutcome, { kind: 'found' }>['object'],
    range: Seeded | undefined,
    isNeeded: boolean,
  ): Promise<void> {
    const { etag, bytes } = object.version
    const content = this.#contents.get(etag)
    if (content === undefined)
      return this.#parts.complain(`I2: ${name} is ${etag}, which nobody wrote`)
    if (content.bytes !== bytes) return this.#parts.complain(`I2: ${name} has ${bytes} bytes`)
    if (bytes === 0) return
    const first = range ? range.below(bytes) : 0
    const last = range ? first + range.below(bytes - first) : bytes - 1
    const wasFine = this.#parts.isFine()
    const { graceMs } = this.#parts
    // Within the grace nobody has to have begun to read; then nobody has to hurry.
    if (range !== undefined) await this.#parts.time.sleep(range.below(graceMs / 2))
    this.#parts.say(`reads ${name} ${etag} from ${first} to ${last}`)
    const pauseMs = range === undefined || range.below(2) === 0 ? 0 : range.below(2 * graceMs)
    const read = await this.#ask(async () => {
      const chunks: Uint8Array[] = []
      const { signal } = new AbortController()
      for await (const chunk of object.read({ first, last }, { signal })) {
        chunks.push(Buffer.from(chunk))
        await this.#parts.time.sleep(pauseMs)
      }
      return Buffer.concat(chunks)
    }, this.#foundBy.get(object))
    this.#parts.say(`read ${name} ${etag}: ${read.kind}`)
    if (read.kind === 'failed') {
      this.counts.readFailures += 1
      // Drives close behind the last answers of a store that is being stopped.
      const isServed = this.#parts.store.serving === this.#foundBy.get(object)
      if (wasFine && this.#parts.isFine() && isServed && isTooFew(read.error))
        this.#parts.complain(
          `I4: ${name} can not be read, though nothing is broken: ${String(read.error)}`,
        )
      if (isNeeded) this.#parts.complain(`I1: ${name} can not be read: ${String(read.error)}`)
      return
    }
    const wanted = bytesOfContent(content).subarray(first, last + 1)
    if (!read.answer.equals(wanted)) this.#parts.complain(`I2: wrong bytes of ${name} (${etag})`)
  }

  async #delete(bucket: string, key: string): Promise<void> {
    this.#markers += 1
    const marker = bucket === VERSIONED ? `marker${this.#markers}` : undefined
    const entry = this.#begin(bucket, key, { kind: 'delete', marker, outcome: undefined })
    const deleted = await this.#ask(({ objects }) =>
      objects.delete(objects.findBucket(bucket)!, key, { conditions: {} }),
    )
    if (deleted.kind === 'failed') return
    if (deleted.answer.kind !== 'done')
      this.#parts.complain(`delete of ${bucket}/${key}: ${deleted.answer.kind}`)
    this.#end(entry, { kind: 'delete', marker, outcome: 'done' })
  }

  /** Some may be named twice. */
  async #deleteMany(bucket: string, keys: readonly string[]): Promise<void> {
    const begun = [...new Set(keys)].map((key) => {
      this.#markers += 1
      const marker = bucket === VERSIONED ? `marker${this.#markers}` : undefined
      const action = { kind: 'delete' as const, marker, outcome: undefined }
      return { key, marker, entry: this.#begin(bucket, key, action) }
    })
    const deleted = await this.#ask(({ objects }) =>
      objects.deleteMany(
        objects.findBucket(bucket)!,
        begun.map(({ key }) => ({ key, conditions: {} })),
        {},
        new AbortController().signal,
      ),
    )
    if (deleted.kind === 'failed') return
    for (const [at, { key, marker, entry }] of begun.entries()) {
      const kind = deleted.answer[at]?.kind
      if (kind !== 'done') this.#parts.complain(`delete of ${bucket}/${key}: ${kind}`)
      this.#end(entry, { kind: 'delete', marker, outcome: 'done' })
    }
  }

  async #multipart(bucket: string, key: string, random: Seeded, mix: Mix): Promise<void> {
    const begun = await this.#ask(async ({ objects }) => {
      const found = objects.findBucket(bucket)!
      return { found, upload: await objects.createUpload(found, key, ATTRIBUTES) }
    })
    if (begun.kind === 'failed') return
    const { found, upload } = begun.answer
    const parts = new Map<number, Piece>()
    for (let count = 1 + random.below(3); count > 0; count -= 1) {
      const number = 1 + random.below(3)
      const piece = this.#newPiece(random, mix)
      const { signal } = new AbortController()
      const put = await this.#ask(({ objects }) =>
        objects.putPart({ bucket: found, key, upload, number, body: bodyOf(piece), signal }),
      )
      // A part whose outcome is open may be either: it is not used.
      if (put.kind === 'failed') return
      if (put.answer.kind === 'done') parts.set(number, piece)
    }
    if (random.below(4) === 0) await this.#abort(found, key, upload.uploadId)
    else await this.#complete(found, key, upload.uploadId, [...parts][0]!)
  }

  async #abort(
    bucket: Bucket,
    key: string,
    uploadId: Parameters<Serving['objects']['abortUpload']>[2],
  ): Promise<void> {
    const aborted = await this.#ask(({ objects }) => objects.abortUpload(bucket, key, uploadId))
    if (aborted.kind === 'failed' || aborted.answer.kind !== 'done') return
    const found = await this.#ask(({ objects }) => objects.findUpload(bucket, key, uploadId))
    if (found.kind === 'answered' && found.answer !== undefined)
      this.#parts.complain(`I3: an aborted upload of ${bucket.name}/${key} is there`)
  }

  /** Only one part: all but the last would have to be large. The others become garbage. */
  async #complete(
    bucket: Bucket,
    key: string,
    uploadId: Parameters<Serving['objects']['abortUpload']>[2],
    [number, piece]: [number, Piece],
  ): Promise<void> {
    const content = this.#know(contentOfParts([piece]))
    const condition: Condition = { kind: 'none' }
    const action: Action = { kind: 'put', label: content.etag, condition, outcome: undefined }
    const entry = this.#begin(bucket.name, key, action)
    const parts = [{ number, etag: contentOf(piece).etag }]
    const completed = await this.#ask(({ objects }) =>
      objects.completeUpload({ bucket, key, uploadId, parts, conditions: {}, claimed: {} }),
    )
    if (completed.kind === 'failed') return
    const { answer } = completed
    if (answer.kind !== 'done') {
      this.#forget(bucket.name, key, entry)
      return this.#parts.complain(`an upload of ${bucket.name}/${key}: ${answer.kind}`)
    }
    this.#made(bucket.name, key, answer.version)
    this.#end(entry, { ...action, outcome: 'done' })
  }

  async #list(bucket: string, limit: number): Promise<void> {
    const entries = KEYS.map((key) => ({
      key,
      entry: this.#begin(bucket, key, { kind: 'read', label: ABSENT }),
    }))
    const listed = await this.#ask(async ({ objects }) => {
      const found = new Map<string, Label>()
      let after = ''
      for (;;) {
        const page = await objects.list({
          bucket: objects.findBucket(bucket)!,
          ...{ prefix: '', delimiter: '', after, limit },
        })
        for (const each of page.entries)
          if (each.kind === 'entry') found.set(each.key, each.record.etag)
        if (page.last === undefined) return found
        after = page.last
      }
    })
    for (const { key, entry } of entries) {
      if (listed.kind === 'failed') this.#forget(bucket, key, entry)
      else this.#end(entry, { kind: 'read', label: listed.answer.get(key) ?? ABSENT })
    }
  }

  async #copy(bucket: string, from: string, to: string): Promise<void> {
    const found = await this.#find(bucket, from)
    if (found?.kind !== 'found') return
    const { etag, bytes } = found.object.version
    if (bytes === 0 || etag.includes('-')) return
    const action: Action = {
      kind: 'put',
      label: etag,
      condition: { kind: 'none' },
      outcome: undefined,
    }
    const entry = this.#begin(PLAIN, to, action)
    const { signal } = new AbortController()
    const body = {
      bytes,
      chunks: found.object.read({ first: 0, last: bytes - 1 }, { signal }),
      finish: () => ({ md5: etag }),
    }
    const put = await this.#ask(
      ({ objects }) =>
        objects.put({
          ...{ bucket: objects.findBucket(PLAIN)!, key: to, attributes: ATTRIBUTES },
          ...{ conditions: {}, body, signal },
        }),
      this.#foundBy.get(found.object),
    )
    if (put.kind === 'failed') return
    if (put.answer.kind === 'done') this.#made(PLAIN, to, put.answer.version)
    this.#end(entry, { ...action, outcome: 'done' })
  }

  async #useVersion(random: Seeded): Promise<void> {
    const versions = [...this.#versions].filter(([, { bucket }]) => bucket === VERSIONED)
    if (versions.length === 0) return
    const [versionId, { bucket, key, label }] = random.pick(versions)
    if (random.below(3) > 0) return await this.#getVersion(bucket, key, versionId, label)
    const entry = this.#begin(bucket, key, { kind: 'delete-version', label, outcome: undefined })
    const deleted = await this.#ask(({ objects }) =>
      objects.delete(objects.findBucket(bucket)!, key, { versionId, conditions: {} }),
    )
    if (deleted.kind === 'answered')
      this.#end(entry, { kind: 'delete-version', label, outcome: 'done' })
  }

  async #getVersion(
    bucket: string,
    key: string,
    versionId: string,
    label: Label,
    isNeeded = false,
  ): Promise<void> {
    const entry = this.#begin(bucket, key, { kind: 'read-version', label, isThere: false })
    const found = await this.#ask(async (serving) => {
      const answer = await serving.objects.find(serving.objects.findBucket(bucket)!, key, versionId)
      if (answer.kind === 'found') this.#foundBy.set(answer.object, serving)
      return answer
    })
    if (found.kind === 'failed') {
      if (isNeeded) this.#parts.complain(`I1: ${bucket}/${key} ${versionId} can not be found`)
      return this.#forget(bucket, key, entry)
    }
    const { answer } = found
    if (answer.kind === 'found' && answer.object.version.etag !== label)
      this.#parts.complain(`I2: version ${versionId} of ${key} is ${answer.object.version.etag}`)
    this.#end(entry, { kind: 'read-version', label, isThere: answer.kind === 'found' })
    if (answer.kind === 'found')
      await this.#read(`${bucket}/${key}`, answer.object, undefined, isNeeded)
  }

  /** Asks the process that serves; what it can not answer before it ends stays open. */
  async #ask<T>(question: (serving: Serving) => Promise<T>, by?: Serving): Promise<Outcome<T>> {
    const serving = by ?? (await this.#parts.store.served())
    this.counts.asked += 1
    const asked = question(serving).then(
      (answer): Outcome<T> => ({ kind: 'answered', answer }),
      (error: unknown): Outcome<T> => ({ kind: 'failed', error }),
    )
    const ended = serving.process.ended.then(
      (): Outcome<T> => ({ kind: 'failed', error: new Error('the process ended') }),
    )
    const outcome = await Promise.race([asked, ended])
    if (outcome.kind === 'failed') {
      this.counts.failed += 1
      this.#parts.say(`failed: ${String(outcome.error)}`)
      if (isOurFault(outcome.error)) this.#parts.complain(`a fault: ${stackOf(outcome.error)}`)
    } else this.counts.answered += 1
    return outcome
  }

  #begin(bucket: string, key: string, action: Action): Entry {
    const { time, say } = this.#parts
    time.ticks += 1
    const entry = { action, begun: time.ticks, ended: Number.POSITIVE_INFINITY }
    this.#historyOf(bucket, key).entries.push(entry)
    this.#keysOf.set(entry, { bucket, key })
    say(`${time.ticks} ${bucket}/${key} ${JSON.stringify(action)}`)
    return entry
  }

  #end(entry: Entry, action: Action): void {
    const { time, say } = this.#parts
    time.ticks += 1
    entry.action = action
    entry.ended = time.ticks
    say(`${entry.begun} answered at ${time.ticks}: ${JSON.stringify(action)}`)
    if (!('outcome' in action)) return
    this.#last = this.#keysOf.get(entry)
    this.#parts.answered()
  }

  /** A question that was never answered says nothing. */
  #forget(bucket: string, key: string, entry: Entry): void {
    const { entries } = this.#historyOf(bucket, key)
    entries.splice(entries.indexOf(entry), 1)
  }

  #historyOf(bucket: string, key: string): KeyHistory {
    return this.histories.get(`${bucket}/${key}`)!
  }

  /** A version id is given once (I9). */
  #made(bucket: string, key: string, { versionId, etag }: ObjectVersion): void {
    if (this.#versions.has(versionId))
      this.#parts.complain(`I9: version ${versionId} was given twice`)
    this.#versions.set(versionId, { bucket, key, label: etag })
  }

  #know(content: Content): Content {
    this.#contents.set(content.etag, content)
    return content
  }

  #newPiece(random: Seeded, { striped }: Mix): Piece {
    this.#pieces += 1
    return { number: this.#pieces, bytes: sizeOf(random, striped) }
  }
}

function sizeOf(random: Seeded, striped: number): number {
  const kind = random.below(100)
  if (kind < striped) return 131_073 + random.below(random.below(4) === 0 ? 300_000 : 20_000)
  if (kind < striped + 8) return 0
  if (kind < striped + 16) return 50_000 + random.below(50_000)
  if (kind < striped + 50) return 1 + random.below(400)
  return 1 + random.below(12_000)
}

function pickBy(random: Seeded, all: Mix): Asked {
  const { striped: _, pauseMs: _pause, keys: _keys, ...mix } = all
  const names = Object.keys(mix) as Asked[]
  let left = random.below(names.reduce((sum, name) => sum + mix[name], 0))
  for (const name of names) {
    if (left < mix[name]) return name
    left -= mix[name]
  }
  return 'get'
}

function conditionsOf(condition: Condition): WriteConditions {
  if (condition.kind === 'none') return {}
  return condition.kind === 'absent' ? { ifNoneMatch: ['*'] } : { ifMatch: [condition.label] }
}

/** Errors that say that the store is wrong rather than that something outside is. */
function isOurFault(error: unknown): boolean {
  if (!(error instanceof Error)) return true
  return ['AssertionFailed', 'TypeError', 'RangeError', 'ReferenceError'].includes(error.name)
}

function isTooFew(error: unknown): boolean {
  return error instanceof Error && error.name === 'TooFewShards'
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
