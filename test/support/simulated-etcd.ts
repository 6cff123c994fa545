// etcd in memory, behind the door of the world: revisions, comparisons, leases by the clock that it is given, watches
// with compaction, users; and what a test does to it: outages, lost and late answers, silence, a restored backup.
import type { Clock, Http, HttpAnswer, HttpLines, HttpRequest } from '../../src/kit/world.ts'

interface Kept {
  value: string
  createRevision: number
  modRevision: number
  version: number
  lease: string
}

interface Past {
  revision: number
  key: string
  /** Undefined: it was deleted. */
  kept: Kept | undefined
}

interface Watcher {
  key: string
  rangeEnd: string | undefined
  tell(line: object): void
  breakOff(): void
}

/** Everything that a backup has. */
interface Data {
  revision: number
  compacted: number
  keys: Map<string, Kept>
  past: Past[]
}

/** Requests and answers as JSON has them. Keys and values stay in base64 but for the order of keys. */
type Json = Record<string, unknown>

class Refusal extends Error {
  readonly grpcCode: number
  constructor(message: string, grpcCode: number) {
    super(`etcdserver: ${message}`)
    this.grpcCode = grpcCode
  }
}

const REQUEST_BYTES_MAX = 1.5 * 1024 * 1024
const TXN_CHANGES_MAX = 128

/** One cluster of etcd; all endpoints are the same to it. */
export class SimulatedEtcd {
  /** Where requests go: give it to a world. */
  readonly http: Http
  /** What it does with requests: an answer that is lost was made all the same. */
  mood: 'well' | 'away' | 'losing answers' = 'well'
  /** Before every answer. */
  delayMs = 0
  /** The next answer to this path is lost; what was asked for is done. */
  loseAnswerOf: string | undefined
  /** With the lost answer everything is lost. */
  awayAfterLoss = false
  /** It goes away after so many more transactions. */
  awayAfterTxns: number | undefined
  /** Watches say nothing more, though their connections stay. */
  isSilent = false
  /** Once set, everyone has to name himself. */
  user: { name: string; password: string } | undefined
  /** Paths as they were asked for. */
  readonly asked: string[] = []
  readonly #clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly #leases = new Map<string, { ttlMs: number; untilMs: number }>()
  readonly #watchers = new Set<Watcher>()
  #clusterId: string
  #data: Data = { revision: 1, compacted: 0, keys: new Map(), past: [] }
  #lastLease = 0
  #tokens = 0

  constructor(clock: Pick<Clock, 'monotonicMs' | 'sleep'>, clusterId = '324952591200643719') {
    this.#clock = clock
    this.#clusterId = clusterId
    this.http = {
      send: (request) => this.#send(request),
      lines: (request, signal) => this.#lines(request, signal),
    }
  }

  get revision(): number {
    return this.#data.revision
  }

  get keyCount(): number {
    this.#expire()
    return this.#data.keys.size
  }

  get watcherCount(): number {
    return this.#watchers.size
  }

  /** Somebody else's key: a revision that is none of ours. */
  putForeign(key: string): void {
    this.#change([{ request_put: { key: Buffer.from(key).toString('base64') } }])
  }

  backup(): Data {
    const { revision, compacted, keys, past } = this.#data
    return { revision, compacted, keys: new Map(keys), past: [...past] }
  }

  /** Nobody is told: connections break, and what comes back is older. */
  restore(backup: Data, clusterId = this.#clusterId): void {
    this.breakWatches()
    this.#data = { ...backup, keys: new Map(backup.keys), past: [...backup.past] }
    this.#clusterId = clusterId
  }

  breakWatches(): void {
    for (const watcher of [...this.#watchers]) watcher.breakOff()
  }

  /** As when a leader hangs: every lease is lost at once. */
  expireAll(): void {
    for (const id of [...this.#leases.keys()]) this.#dropLease(id)
  }

  /** Tokens that were given are good no more. */
  forgetTokens(): void {
    this.#tokens += 1
  }

  async #send(request: HttpRequest): Promise<HttpAnswer> {
    const path = new URL(request.url).pathname
    this.asked.push(path)
    const isLate = this.delayMs >= request.timeoutMs
    if (this.delayMs > 0) await this.#clock.sleep(Math.min(this.delayMs, request.timeoutMs))
    if (this.mood === 'away') throw new Error('connection refused')
    if (path === '/v3/kv/txn' && this.awayAfterTxns !== undefined) {
      this.awayAfterTxns -= 1
      if (this.awayAfterTxns < 0) {
        this.mood = 'away'
        throw new Error('connection refused')
      }
    }
    const answer = this.#answer(path, request)
    if (path === this.loseAnswerOf) {
      this.loseAnswerOf = undefined
      if (this.awayAfterLoss) this.mood = 'away'
      throw new Error('the connection broke')
    }
    if (this.mood === 'losing answers' || isLate) throw new Error('the connection broke')
    return answer
  }

  #answer(path: string, { body = '{}', headers }: HttpRequest): HttpAnswer {
    try {
      this.#expire()
      const fields = JSON.parse(body) as Json
      if (path === '/v3/auth/authenticate') return give(this.#authenticate(fields))
      this.#checkToken(headers)
      if (Buffer.byteLength(body) * 0.75 > REQUEST_BYTES_MAX)
        throw new Refusal('request is too large', 3)
      return give(this.#run(path, fields))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { status: 400, text: JSON.stringify({ error: error.message, code: error.grpcCode }) }
    }
  }

  #run(path: string, fields: Json): Json {
    switch (path) {
      case '/v3/kv/range':
        return this.#range(fields)
      case '/v3/kv/txn':
        return this.#txn(fields)
      case '/v3/kv/compaction':
        return this.#compact(Number(fields.revision))
      case '/v3/lease/grant':
        return this.#grant(Number(fields.TTL))
      case '/v3/lease/keepalive':
        return { result: this.#keepAlive(String(fields.ID)) }
      case '/v3/lease/revoke':
        if (!this.#dropLease(String(fields.ID))) throw new Refusal('requested lease not found', 5)
        return { header: this.#header() }
      default:
        throw new Refusal(`no such call: ${path}`, 12)
    }
  }

  #range({ key, range_end: rangeEnd, limit, revision, min_mod_revision: least }: Json): Json {
    const at = Number(revision ?? 0)
    if (at > this.#data.revision)
      throw new Refusal('mvcc: required revision is a future revision', 11)
    if (at > 0 && at < this.#data.compacted)
      throw new Refusal('mvcc: required revision has been compacted', 11)
    const keys = at > 0 ? this.#keysAt(at) : this.#data.keys
    const span = { key: String(key), rangeEnd: rangeEnd as string | undefined }
    const found = [...keys].filter(([name]) => isWithin(name, span)).sort(byKey)
    const wanted = found.filter(([, { modRevision }]) => modRevision >= Number(least ?? 0))
    const most = Number(limit ?? 0) || wanted.length
    return {
      header: this.#header(),
      kvs: wanted.slice(0, most).map(describe),
      ...(wanted.length > most ? { more: true } : {}),
      count: `${found.length}`,
    }
  }

  #keysAt(revision: number): Map<string, Kept> {
    const keys = new Map<string, Kept>()
    for (const { revision: at, key, kept } of this.#data.past) {
      if (at > revision) break
      if (kept) keys.set(key, kept)
      else keys.delete(key)
    }
    return keys
  }

  #txn({ compare, success }: Json): Json {
    const comparisons = (compare ?? []) as { key: string; mod_revision?: string }[]
    const changes = (success ?? []) as Json[]
    if (changes.length > TXN_CHANGES_MAX) throw new Refusal('too many operations in txn request', 3)
    const holds = comparisons.every(
      ({ key, mod_revision: wanted }) =>
        (this.#data.keys.get(key)?.modRevision ?? 0) === Number(wanted ?? 0),
    )
    if (holds) this.#change(changes)
    return { header: this.#header(), ...(holds ? { succeeded: true } : {}) }
  }

  #change(changes: readonly Json[]): void {
    const revision = this.#data.revision + 1
    const made: Past[] = []
    for (const { request_put: put, request_delete_range: deleted } of changes) {
      if (put) made.push(this.#put(put as Json, revision))
      const key = String((deleted as Json | undefined)?.key ?? '')
      if (deleted && this.#data.keys.delete(key)) made.push({ revision, key, kept: undefined })
    }
    this.#happened(made)
  }

  #put({ key, value, lease }: Json, revision: number): Past {
    const name = String(key)
    const before = this.#data.keys.get(name)
    if (lease !== undefined && !this.#leases.has(String(lease)))
      throw new Refusal('requested lease not found', 5)
    const kept: Kept = {
      value: String(value ?? ''),
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      lease: String(lease ?? '0'),
    }
    this.#data.keys.set(name, kept)
    return { revision, key: name, kept }
  }

  /** What has no effect has no revision either. */
  #happened(made: readonly Past[]): void {
    if (made.length === 0) return
    this.#data.revision += 1
    this.#data.past.push(...made)
    if (this.isSilent) return
    for (const watcher of this.#watchers) watcher.tell(this.#lineOf(made, watcher))
  }

  #lineOf(made: readonly Past[], watcher: Pick<Watcher, 'key' | 'rangeEnd'>): object {
    const events = made
      .filter(({ key }) => isWithin(key, watcher))
      .map(({ key, kept, revision }) =>
        kept
          ? { kv: describe([key, kept]) }
          : { type: 'DELETE', kv: { key, mod_revision: `${revision}` } },
      )
    return { header: this.#header(), events }
  }

  #compact(revision: number): Json {
    if (revision <= this.#data.compacted)
      throw new Refusal('mvcc: required revision has been compacted', 11)
    this.#data.compacted = revision
    return { header: this.#header() }
  }

  #grant(ttlSeconds: number): Json {
    this.#lastLease += 1
    const id = `${7_587_000 + this.#lastLease}`
    const ttlMs = ttlSeconds * 1000
    this.#leases.set(id, { ttlMs, untilMs: this.#clock.monotonicMs() + ttlMs })
    return { header: this.#header(), ID: id, TTL: `${ttlSeconds}` }
  }

  #keepAlive(id: string): Json {
    const lease = this.#leases.get(id)
    if (lease === undefined) return { header: this.#header(), ID: id }
    lease.untilMs = this.#clock.monotonicMs() + lease.ttlMs
    return { header: this.#header(), ID: id, TTL: `${lease.ttlMs / 1000}` }
  }

  #expire(): void {
    const now = this.#clock.monotonicMs()
    for (const [id, { untilMs }] of [...this.#leases]) if (untilMs <= now) this.#dropLease(id)
  }

  #dropLease(id: string): boolean {
    if (!this.#leases.delete(id)) return false
    const revision = this.#data.revision + 1
    const keys = [...this.#data.keys].filter(([, { lease }]) => lease === id)
    for (const [key] of keys) this.#data.keys.delete(key)
    this.#happened(keys.map(([key]) => ({ revision, key, kept: undefined })))
    return true
  }

  #authenticate({ name, password }: Json): Json {
    if (!this.user) throw new Refusal('authentication is not enabled', 9)
    if (name !== this.user.name || password !== this.user.password)
      throw new Refusal('authentication failed, invalid user ID or password', 3)
    return { header: this.#header(), token: `token.${this.#tokens}` }
  }

  #checkToken({ authorization }: Record<string, string>): void {
    if (!this.user) return
    if (authorization === undefined) throw new Refusal('user name is empty', 3)
    if (authorization !== `token.${this.#tokens}`) throw new Refusal('invalid auth token', 16)
  }

  async #lines(request: HttpRequest, signal: AbortSignal): Promise<HttpLines> {
    this.asked.push(new URL(request.url).pathname)
    signal.throwIfAborted()
    if (this.mood === 'away') throw new Error('connection refused')
    try {
      this.#checkToken(request.headers)
    } catch (error) {
      const { message, grpcCode } = error as Refusal
      const text = JSON.stringify({ error: message, code: grpcCode })
      return { status: 401, lines: linesOf([text]) }
    }
    const { create_request: wanted } = JSON.parse(request.body ?? '{}') as { create_request: Json }
    return { status: 200, lines: this.#watch(wanted, signal) }
  }

  async *#watch(wanted: Json, signal: AbortSignal): AsyncGenerator<string> {
    const waiting: object[] = [{ header: this.#header(), created: true }]
    let wake = (): void => {}
    let isBroken = false
    const watcher: Watcher = {
      key: String(wanted.key),
      rangeEnd: wanted.range_end as string | undefined,
      tell: (line) => {
        waiting.push(line)
        wake()
      },
      breakOff: () => {
        isBroken = true
        wake()
      },
    }
    const from = Number(wanted.start_revision ?? 0)
    if (from > 0 && from <= this.#data.compacted) {
      waiting.push({ canceled: true, compact_revision: `${this.#data.compacted}` })
    } else if (from > 0) {
      const missed = this.#data.past.filter(({ revision }) => revision >= from)
      if (missed.length > 0) waiting.push(this.#lineOf(missed, watcher))
    }
    this.#watchers.add(watcher)
    const leave = (): void => wake()
    signal.addEventListener('abort', leave)
    try {
      for (;;) {
        signal.throwIfAborted()
        if (isBroken) throw new Error('the connection broke')
        const line = waiting.shift() as { events?: unknown[] } | undefined
        if (line === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        } else if (line.events?.length !== 0) yield JSON.stringify({ result: line })
      }
    } finally {
      this.#watchers.delete(watcher)
      signal.removeEventListener('abort', leave)
    }
  }

  #header(): Json {
    return { cluster_id: this.#clusterId, revision: `${this.#data.revision}` }
  }
}

function give(answer: Json): HttpAnswer {
  return { status: 200, text: JSON.stringify(answer) }
}

async function* linesOf(texts: readonly string[]): AsyncGenerator<string> {
  yield* texts
}

function describe([key, kept]: [string, Kept]): Json {
  return {
    key,
    create_revision: `${kept.createRevision}`,
    mod_revision: `${kept.modRevision}`,
    version: `${kept.version}`,
    ...(kept.value === '' ? {} : { value: kept.value }),
    ...(kept.lease === '0' ? {} : { lease: kept.lease }),
  }
}

function byKey([left]: [string, Kept], [right]: [string, Kept]): number {
  return Buffer.compare(bytesOf(left), bytesOf(right))
}

function isWithin(
  name: string,
  { key, rangeEnd }: { key: string; rangeEnd: string | undefined },
): boolean {
  if (rangeEnd === undefined) return name === key
  const bytes = bytesOf(name)
  return Buffer.compare(bytes, bytesOf(key)) >= 0 && Buffer.compare(bytes, bytesOf(rangeEnd)) < 0
}

function bytesOf(base64: string): Buffer {
  return Buffer.from(base64, 'base64')
}
