// Bytes on their way: no more than the receiver has room for, and no more of all calls together.
import t from 'tap'
import { kibibytes, mebibytes } from '../../../src/kit/bytes.ts'
import { LentMemory, type LentSlot } from '../../../src/kit/lent-bytes.ts'
import type { Body, ObjectStore } from '../../../src/objects/object-store.ts'
import { Credit, Windows } from '../../../src/store-link/flow.ts'
import { linkPut } from './linked-put.ts'

t.test('windows are as wide as there is room, and never too narrow', async (t) => {
  const windows = new Windows(kibibytes(448 + 100))
  t.equal(windows.open(kibibytes(30)), kibibytes(64))
  const widths = [1, 2, 3].map(() => windows.open(mebibytes(5)))
  t.same(widths, [kibibytes(512), kibibytes(164), kibibytes(64)])
  windows.close(kibibytes(64))
  t.equal(windows.open(kibibytes(100)), kibibytes(64))
  windows.close(kibibytes(164))
  t.equal(windows.open(kibibytes(100)), kibibytes(100))
  windows.close(kibibytes(512))
  t.equal(windows.open(mebibytes(5)), kibibytes(512))
})

t.test('what passes is what there is', async (t) => {
  const credit = new Credit(100)
  t.equal(credit.take(70), 70)
  t.equal(credit.take(70), 30)
  const waiting = credit.take(70)
  credit.give(50)
  t.equal(await waiting, 50)
  const begin = credit.take(0)
  credit.give(1)
  t.equal(await begin, 0)
  t.equal(credit.take(5), 1)
  const none = credit.take(1)
  credit.end(new Error('over'))
  await t.rejects(Promise.resolve(none), { message: 'over' })
})

const CHUNK_BYTES = 50_000
const CHUNKS = 40

/** A body that counts what is asked of it. */
function countedBody(): { body: Body; asked(): number } {
  let asked = 0
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < CHUNKS; index += 1) {
      asked += CHUNK_BYTES
      yield Buffer.alloc(CHUNK_BYTES, index)
    }
  }
  const finish = () => ({}) as ReturnType<Body['finish']>
  return { body: { bytes: CHUNK_BYTES * CHUNKS, chunks: chunks(), finish }, asked: () => asked }
}

t.test('a store that does not read on is sent its window, and takes all of it later', async (t) => {
  const windows = new Windows(kibibytes(448))
  for (const [width, isLast] of [
    [kibibytes(512), false],
    [kibibytes(64), true],
  ] as const) {
    let letGo = (): void => {}
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const read: Uint8Array[] = []
    const put = async ({ body }: { body: Body }): Promise<void> => {
      for await (const chunk of body.chunks) {
        read.push(chunk)
        await held
      }
      body.finish()
    }
    const objects = await linkPut(t, put, windows)
    const { body, asked } = countedBody()
    const { signal } = new AbortController()
    const putting = objects.put({ body, signal } as unknown as Parameters<ObjectStore['put']>[0])
    while (asked() < width) await new Promise((resolve) => setTimeout(resolve, 5))
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 5))
    t.ok(asked() <= width + CHUNK_BYTES, `${asked()} of ${width}`)
    if (!isLast) {
      // It keeps its window while the next one wants one.
      t.teardown(letGo)
      putting.catch(() => {})
      continue
    }
    letGo()
    await putting
    const sent = Buffer.concat(read)
    t.equal(sent.length, CHUNK_BYTES * CHUNKS)
    for (let index = 0; index < CHUNKS; index += 1) {
      const part = sent.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
      t.ok(part.equals(Buffer.alloc(CHUNK_BYTES, index)))
    }
  }
})

t.test('memory of a body is lent again as soon as its bytes are on their way', async (t) => {
  const memory = new LentMemory({ slotBytes: CHUNK_BYTES, maxSpare: 4 })
  const slots = new Set<LentSlot>()
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < CHUNKS; index += 1) {
      const slot = memory.take()
      slots.add(slot)
      slot.bytes.fill(index)
      yield slot.lend(0, CHUNK_BYTES)
    }
  }
  const read: Uint8Array[] = []
  const put = async ({ body }: { body: Body }): Promise<void> => {
    for await (const chunk of body.chunks) read.push(chunk)
  }
  const objects = await linkPut(t, put)
  const finish = () => ({})
  const body = { bytes: CHUNK_BYTES * CHUNKS, chunks: chunks(), finish }
  const { signal } = new AbortController()
  await objects.put({ body, signal } as unknown as Parameters<ObjectStore['put']>[0])
  const sent = Buffer.concat(read)
  for (let index = 0; index < CHUNKS; index += 1) {
    const part = sent.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
    t.ok(part.equals(Buffer.alloc(CHUNK_BYTES, index)))
  }
  t.equal(slots.size, 1)
})
