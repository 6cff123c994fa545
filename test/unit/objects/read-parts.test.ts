// Objects in parts: the bytes of any range in order, what a part has at hand, and pins that are let go whatever happens.
import t from 'tap'
import { type ChunksAtHand, nextAtHand } from '../../../src/kit/chunks-at-hand.ts'
import type { Uid } from '../../../src/kit/uid.ts'
import type { Blob, Part } from '../../../src/metadata/records.ts'
import type { ByteRange } from '../../../src/objects/object-store.ts'
import { Pins } from '../../../src/objects/pins.ts'
import { readParts } from '../../../src/objects/read-parts.ts'
import { Seeded } from '../../support/seeded.ts'

const seeded = new Seeded(23)
const { signal } = new AbortController()

/** Chunks of a part: the first of three is to be waited for, the others are there. */
class Chunks implements AsyncIterableIterator<Uint8Array>, ChunksAtHand {
  isReturned = false
  readonly #chunks: Uint8Array[]
  #given = 0

  constructor(chunks: Uint8Array[]) {
    this.#chunks = chunks
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.#chunks[this.#given]
    this.#given += 1
    return value === undefined ? { done: true, value } : { done: false, value }
  }

  nextAtHand(): Uint8Array | undefined {
    const value = this.#given % 3 === 0 ? undefined : this.#chunks[this.#given]
    if (value !== undefined) this.#given += 1
    return value
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.isReturned = true
    return { done: true, value: undefined }
  }
}

function chunksOf(bytes: Buffer): Chunks {
  const chunks = Array.from({ length: Math.ceil(bytes.length / 10) }, (_, at) =>
    bytes.subarray(at * 10, (at + 1) * 10),
  )
  return new Chunks(chunks)
}

/** Parts of these lengths; those of no bytes have no blob. */
function openParts(lengths: readonly number[]) {
  const bytes = lengths.map((length) => seeded.bytes(length))
  const parts = lengths.map((length, at) => ({
    ...{ number: at + 1, bytes: length, etag: '', modifiedMs: 0 },
    ...(length > 0 ? { blob: { uid: `uid${at}` as Uid } as Blob } : {}),
  }))
  const pins = new Pins()
  const state = { opened: [] as Chunks[], trouble: undefined as Error | undefined }
  const reader = ({ number }: Part, { first, last }: ByteRange): Chunks => {
    if (state.trouble && number === parts.length) throw state.trouble
    const chunks = chunksOf(bytes[number - 1]!.subarray(first, last + 1))
    state.opened.push(chunks)
    return chunks
  }
  const loadParts = async (): Promise<Part[]> => parts
  const pinned = (): number => parts.filter(({ blob }) => blob && pins.isPinned(blob.uid)).length
  return { whole: Buffer.concat(bytes), what: { loadParts, reader, pins }, state, pinned }
}

t.test('any range is what the parts have of it, in order', async (t) => {
  let waits = 0
  let chunkCount = 0
  for (let round = 0; round < 300; round += 1) {
    const lengths: number[] = Array.from({ length: 1 + seeded.below(5) }, () => seeded.below(100))
    if (!lengths.some((length) => length > 0)) lengths[0] = 1
    const { whole, what, pinned } = openParts(lengths)
    const first = seeded.below(whole.length)
    const last = first + seeded.below(whole.length - first)
    const chunks = readParts(what, { first, last }, { signal })
    const got: Uint8Array[] = []
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      waits += 1
      t.equal(pinned(), lengths.filter((length) => length > 0).length)
      let chunk: Uint8Array | undefined = next.value
      for (; chunk !== undefined; chunk = nextAtHand(chunks)) got.push(chunk)
    }
    if (!Buffer.concat(got).equals(whole.subarray(first, last + 1)))
      t.fail(`${lengths} ${first}-${last}`)
    chunkCount += got.length
    t.equal(pinned(), 0)
    t.equal(nextAtHand(chunks), undefined)
    t.same(await chunks.next(), { done: true, value: undefined })
  }
  t.ok(waits < chunkCount / 2, 'most were at hand')
})

t.test('who leaves lets go of the part that is read, and of all pins', async (t) => {
  const { what, state, pinned } = openParts([50, 50])
  const early = readParts(what, { first: 0, last: 99 }, { signal })
  await early.return!()
  t.equal((await early.next()).done, true)
  t.equal(state.opened.length, 0, 'nothing was begun')

  const later = readParts(what, { first: 0, last: 99 }, { signal })
  await later.next()
  t.equal(pinned(), 2)
  await later.return!()
  t.same([state.opened.length, state.opened[0]!.isReturned, pinned()], [1, true, 0])
  t.equal((await later.next()).done, true)

  const underWay = readParts(what, { first: 60, last: 99 }, { signal })
  const next = underWay.next()
  await underWay.return!()
  t.equal((await next).done, false, 'it is answered all the same')
  t.same([state.opened[1]!.isReturned, pinned()], [true, 0])
})

t.test('trouble ends it', async (t) => {
  const { what, state, pinned } = openParts([5, 5])
  state.trouble = new Error('too few shards')
  const chunks = readParts(what, { first: 0, last: 9 }, { signal })
  t.equal((await chunks.next()).done, false)
  await t.rejects(chunks.next(), state.trouble)
  t.equal(pinned(), 0)
  t.equal((await chunks.next()).done, true)

  const loadParts = async (): Promise<Part[]> => {
    throw new Error('the list is gone')
  }
  const none = readParts({ ...what, loadParts }, { first: 0, last: 9 }, { signal })
  await t.rejects(none.next(), { message: 'the list is gone' })
  t.equal((await none.next()).done, true)
})

t.test('for who waits no more no other part is begun', async (t) => {
  const { what, state, pinned } = openParts([5, 5])
  const leaving = new AbortController()
  const chunks = readParts(what, { first: 0, last: 9 }, leaving)
  t.equal((await chunks.next()).done, false)
  leaving.abort(new Error('gone'))
  await t.rejects(chunks.next(), { message: 'gone' })
  t.same([state.opened.length, pinned()], [1, 0])
})
