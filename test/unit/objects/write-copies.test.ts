// Small blobs: gathered, put on all drives at once, and nothing of them is left where that fails.
import t from 'tap'
import { CELL_BYTES } from '../../../src/kit/erasure-code.ts'
import { LentMemory, lendOwn } from '../../../src/kit/lent-bytes.ts'
import type { Body, PutOutcome } from '../../../src/objects/object-store.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from './memory-store.ts'

const seeded = new Seeded(41)

async function put({ objects, bucket }: MemoryStore, key: string, body: Body): Promise<PutOutcome> {
  return await objects.put({
    ...{ bucket, key, conditions: {}, body },
    attributes: { headers: {}, userMetadata: {}, storageClass: 'STANDARD' },
    signal: new AbortController().signal,
  })
}

async function get({ objects, bucket }: MemoryStore, key: string): Promise<Buffer> {
  const found = await objects.find(bucket, key)
  if (found.kind !== 'found') throw new Error(found.kind)
  const last = found.object.version.bytes - 1
  return collect(found.object.read({ first: 0, last }, new AbortController()))
}

/** A body that comes in such chunks and says that it has so many bytes. */
function inChunks(chunks: readonly Uint8Array[], bytes: number): Body {
  async function* come(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield chunk
  }
  return { ...bodyOf(Buffer.concat(chunks)), bytes, chunks: come() }
}

t.test('bodies in chunks of any size, up to a whole cell', async (t) => {
  const store = await openMemoryStore()
  for (const length of [1, 4096, CELL_BYTES]) {
    const bytes = seeded.bytes(length)
    for (const size of [length, Math.ceil(length / 3), 4099]) {
      const chunks: Uint8Array[] = [new Uint8Array(0)]
      for (let at = 0; at < length; at += size) chunks.push(bytes.subarray(at, at + size))
      t.match(await put(store, `k${length}.${size}`, inChunks(chunks, length)), { kind: 'done' })
      t.ok((await get(store, `k${length}.${size}`)).equals(bytes))
    }
  }
})

t.test('lent memory is given back, and nothing of it is kept', async (t) => {
  const store = await openMemoryStore()
  const memory = new LentMemory({ slotBytes: 4096, maxSpare: 1 })
  const slot = memory.take()
  slot.bytes.fill(7)
  const wanted = Buffer.alloc(4096, 7)
  const lent = slot.lend(0, 4096)
  await put(store, 'lent', { ...bodyOf(wanted), chunks: inChunks([lent], 4096).chunks })
  t.equal(memory.take(), slot)
  slot.bytes.fill(8)
  t.ok((await get(store, 'lent')).equals(wanted))
})

t.test('memory that is freed when it is given back', async (t) => {
  const store = await openMemoryStore()
  for (const count of [1, 2, 3]) {
    const bytes = seeded.bytes(count * 40_000)
    const chunks = Array.from({ length: count }, (_, at) =>
      lendOwn(Uint8Array.from(bytes.subarray(at * 40_000, (at + 1) * 40_000))),
    )
    const body = { ...bodyOf(bytes), chunks: inChunks(chunks, bytes.length).chunks }
    t.match(await put(store, `k${count}`, body), { kind: 'done' })
    t.ok((await get(store, `k${count}`)).equals(bytes))
    t.ok(chunks.every(({ length }) => length === 0))
  }
})

t.test(
  'memory of a body is lent again when all copies of it are durable, and else never',
  async (t) => {
    const store = await openMemoryStore()
    const { node } = store
    const lent: Uint8Array[] = []
    const copies = node.copies.bind(node)
    node.copies = (description, cell) => {
      lent.push(cell)
      return copies(description, cell)
    }
    const bodies = Array.from({ length: 4 }, () => seeded.bytes(64 * 1024))
    const isSame = (one: number, other: number): boolean =>
      lent[one]!.buffer === lent[other]!.buffer && lent[one]!.byteOffset === lent[other]!.byteOffset
    await put(store, 'first', bodyOf(bodies[0]!))
    let seen = 0
    node.beforeWrite = (driveId) => {
      seen += 1
      if (seen === 2) node.failed.add(driveId)
    }
    await put(store, 'second', bodyOf(bodies[1]!))
    t.ok(isSame(0, 1))
    node.failed.clear()
    await put(store, 'third', bodyOf(bodies[2]!))
    t.notOk(isSame(1, 2), 'a drive may still be writing the second')
    t.ok(bodies[1]!.equals(lent[1]!))
    await put(store, 'fourth', bodyOf(bodies[3]!))
    t.ok(isSame(2, 3))
    for (const [at, key] of ['first', 'second', 'third', 'fourth'].entries())
      t.ok((await get(store, key)).equals(bodies[at]!))
  },
)

t.test('a body of another length leaves nothing', async (t) => {
  const store = await openMemoryStore()
  const half = seeded.bytes(500)
  for (const chunks of [[half], [half, half, half], [Buffer.concat([half, half]), half]]) {
    await t.rejects(put(store, 'k', inChunks(chunks, 1000)), { code: 'BODY_LENGTH_WRONG' })
    t.equal(store.node.shardCount, 0)
  }
  const body = bodyOf(half)
  const finish = (): never => {
    throw new Error('other bytes')
  }
  await t.rejects(put(store, 'k', { ...body, finish }), { message: 'other bytes' })
  t.equal(store.node.shardCount, 0)
})

t.test(
  'what failed is done without where the rule says so, and taken back where not',
  async (t) => {
    const store = await openMemoryStore()
    const bytes = seeded.bytes(1000)
    await put(store, 'whole', bodyOf(bytes))
    const copies = store.node.shardCount
    t.ok(copies > 1)
    // A drive that fails at its shard.
    let seen = 0
    store.node.beforeWrite = (driveId) => {
      seen += 1
      if (seen === 2) store.node.failed.add(driveId)
    }
    await put(store, 'short', bodyOf(bytes))
    t.equal(store.node.shardCount, copies + copies - 1)
    store.node.failed.clear()
    t.ok((await get(store, 'short')).equals(bytes))
    // Any other trouble.
    seen = 0
    store.node.beforeWrite = () => {
      seen += 1
      if (seen === 2) throw new Error('no memory')
    }
    const before = store.node.shardCount
    await t.rejects(put(store, 'not', bodyOf(bytes)), { message: 'no memory' })
    t.equal(store.node.shardCount, before, 'the others were forgotten again')
  },
)

t.test('a drive that turns out to be full at its shard is left out', async (t) => {
  const store = await openMemoryStore()
  const bytes = seeded.bytes(1000)
  await put(store, 'k', bodyOf(bytes))
  const copies = store.node.shardCount
  const [full] = store.node.drives.keys()
  // Nobody knows of it before.
  store.node.hasRoom = () => true
  store.node.full.add(full!)
  const answer = put(store, 'k', bodyOf(bytes))
  t.match(await answer, { kind: 'done' })
  t.ok((await get(store, 'k')).equals(bytes))
  t.equal(store.node.shardCount, 2 * copies, 'as many copies as ever, and none too many')
})
