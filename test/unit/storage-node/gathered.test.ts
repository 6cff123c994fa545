// Reads and changes of one LevelDB that are made together: each has its own answer, and its own trouble.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/digest.ts'
import { Overloaded } from '../../../src/kit/semaphore.ts'
import type { BytesLevel } from '../../../src/storage-node/drive-lock.ts'
import {
  GatheredChanges,
  GatheredReads,
  type LevelChange,
} from '../../../src/storage-node/meta-rows/gathered.ts'
import { sealRows } from '../../../src/storage-node/meta-rows/meta-rows.ts'

await prepareDigests()

const bytes = (text: string): Buffer => Buffer.from(text)
const put = (key: string, value: string): LevelChange => ({
  ...{ type: 'put', key: bytes(key), value: bytes(value) },
})

/** A LevelDB whose calls end when the test says so. */
class StandingLevel {
  readonly calls: string[] = []
  readonly rows = new Map<string, Buffer>()
  readonly #rotten: string
  #ends: (() => void)[] = []

  constructor(rotten = '') {
    this.#rotten = rotten
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.calls.push(`get ${name(key)}`)
    if (name(key) === this.#rotten) throw new Error('rotten')
    return this.rows.get(name(key))
  }

  async getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.calls.push(`read ${keys.map(name).join(' ')}`)
    await this.#end()
    if (keys.some((key) => name(key) === this.#rotten)) throw new Error('one is rotten')
    return keys.map((key) => this.rows.get(name(key)))
  }

  async batch(changes: LevelChange[]): Promise<void> {
    const keys = changes.map(({ key }) => name(key))
    this.calls.push(`write ${keys.join(' ')}`)
    await this.#end()
    if (keys.includes(this.#rotten)) throw new Error('no room')
    for (const change of changes) {
      if (change.type === 'put') this.rows.set(name(change.key), Buffer.from(change.value))
    }
  }

  /** Ends the calls that are under way and lets everything go on that can. */
  async go(): Promise<void> {
    for (const end of this.#ends.splice(0)) end()
    await new Promise((resolve) => setImmediate(resolve))
  }

  asLevel(): BytesLevel {
    return this as unknown as BytesLevel
  }

  #end(): Promise<void> {
    return new Promise((resolve) => this.#ends.push(resolve))
  }
}

function name(key: Uint8Array): string {
  return Buffer.from(key).toString()
}

const run = <T>(operation: () => Promise<T>): Promise<T> => operation()

t.test('keys that are asked for while others are read go together', async (t) => {
  const level = new StandingLevel()
  for (const key of 'abcdef') level.rows.set(key, bytes(`row ${key}`))
  const reads = new GatheredReads(level.asLevel(), run)
  const found = [...'ab'].map((key) => reads.get(bytes(key)))
  await new Promise((resolve) => setImmediate(resolve))
  found.push(reads.get(bytes('c')))
  await new Promise((resolve) => setImmediate(resolve))
  for (const key of 'dex') found.push(reads.get(bytes(key)))
  await level.go()
  await level.go()
  t.same(level.calls, ['read a b', 'read c', 'read d e x'])
  const rows = await Promise.all(found)
  t.same(
    rows.map((row) => (row as Buffer | undefined)?.toString()),
    ['row a', 'row b', 'row c', 'row d', 'row e', undefined],
  )
})

t.test('keys of one caller go in one call, but not more than are read at once', async (t) => {
  const level = new StandingLevel()
  for (const key of 'abc') level.rows.set(key, bytes(`row ${key}`))
  const reads = new GatheredReads(level.asLevel(), run)
  const found = [reads.getMany([...'ax'].map(bytes)), reads.getMany([bytes('c')])]
  await new Promise((resolve) => setImmediate(resolve))
  await level.go()
  t.same(level.calls, ['read a x c'])
  t.same(await Promise.all(found), [[bytes('row a'), undefined], [bytes('row c')]])
  const many = reads.getMany(Array.from({ length: 200 }, (_, at) => bytes(at === 199 ? 'b' : 'x')))
  await new Promise((resolve) => setImmediate(resolve))
  await level.go()
  await level.go()
  t.same(
    level.calls.slice(1).map((call) => call.split(' ').length - 1),
    [128, 72],
  )
  t.same((await many).at(-1), bytes('row b'))
  t.equal((await many).length, 200)
})

t.test('a row that can not be read is the trouble of those who asked for it', async (t) => {
  const level = new StandingLevel('b')
  level.rows.set('a', bytes('row'))
  const reads = new GatheredReads(level.asLevel(), run)
  const [a, b] = [reads.get(bytes('a')), reads.get(bytes('b'))]
  await new Promise((resolve) => setImmediate(resolve))
  await level.go()
  t.same(await a, bytes('row'))
  t.match(await b, new Error('rotten'))
})

t.test('a drive that fails is the trouble of all, and queues have an end', async (t) => {
  const gone = (): Promise<never> => Promise.reject(new Error('the drive failed'))
  const reads = new GatheredReads(new StandingLevel().asLevel(), gone)
  await t.rejects(reads.get(bytes('a')), { message: 'the drive failed' })
  await t.rejects(reads.get(bytes('a')), { message: 'the drive failed' }, 'and it goes on')
  const hanging = new StandingLevel().asLevel()
  const slow = new GatheredChanges(hanging, run, async () => {})
  void slow.apply([put('first', '1')])
  await new Promise((resolve) => setImmediate(resolve))
  for (let count = 0; count < 10_000; count += 1) void slow.apply([put('k', '1')])
  await t.rejects(slow.apply([put('k', '2')]), Overloaded)
})

t.test('changes go together in their order, and only those of a failed call fail', async (t) => {
  const level = new StandingLevel('c')
  const changes = new GatheredChanges(level.asLevel(), run, async () => {})
  const first = changes.apply([put('a', '1')])
  await new Promise((resolve) => setImmediate(resolve))
  const second = [changes.apply([put('a', '2'), put('b', '1')]), changes.apply([put('a', '3')])]
  let hasEnded = false
  const ended = changes.ended().then(() => {
    hasEnded = true
  })
  await level.go()
  await first
  t.notOk(hasEnded)
  await level.go()
  await Promise.all([...second, ended])
  t.same(level.calls, ['write a', 'write a b a'])
  t.equal(level.rows.get('a')!.toString(), '3')
  const failing = changes.apply([put('c', '1')])
  failing.catch(() => {}) // It is looked at below.
  await new Promise((resolve) => setImmediate(resolve))
  const after = changes.apply([put('d', '1')])
  await level.go()
  await t.rejects(failing, { message: 'no room' })
  await level.go()
  await after
  t.ok(level.rows.has('d'))
})

t.test('a row that every batch writes last is written once', async (t) => {
  const clock = bytes('clock')
  const batches = [1, 2, 3].map((at) => [
    { key: bytes(`k${at}`), value: bytes('v') },
    { key: clock, value: bytes(`${at}`) },
  ])
  const sealed = sealRows(7, batches)
  t.same(
    sealed.map(({ key }) => name(key.subarray(2))),
    ['k1', 'k2', 'k3', 'clock'],
  )
  const [last] = sealRows(7, [[{ key: clock, value: bytes('3') }]])
  t.same(sealed.at(-1), last, 'as the last of them has it')
})
