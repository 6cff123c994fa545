// Reads by runs of cells from each drive: the bytes are right whatever becomes of the memory they came in, of a cell, or of a drive.
import t from 'tap'
import { nextAtHand } from '../../../src/kit/chunks-at-hand.ts'
import { giveBack, LentMemory } from '../../../src/kit/lent-bytes.ts'
import { stayAlive } from '../../../src/kit/world.ts'
import { Hedging, NO_ADVICE } from '../../../src/objects/hedging.ts'
import type { ShardReader } from '../../../src/storage-node/contract.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, type MemoryStore, openMemoryStore } from './memory-store.ts'

const seeded = new Seeded(11)
const CELL = 128 * 1024

/** A store whose readers give runs out of few slots that are used again and again, and what of it a test can stop. */
async function storeOfRuns(bytes: Buffer, slotCount = 64) {
  const store = await openMemoryStore()
  await store.objects.put({
    ...{ bucket: store.bucket, key: 'k', conditions: {}, body: bodyOf(bytes) },
    attributes: { headers: {}, userMetadata: {}, storageClass: 'STANDARD' },
    signal: new AbortController().signal,
  })
  const allocate = (): Uint8Array => {
    state.slots += 1
    return Buffer.allocUnsafeSlow(4 * CELL)
  }
  const memory = new LentMemory({ slotBytes: 4 * CELL, maxSpare: slotCount, allocate })
  const state = {
    slots: 0,
    runs: 0,
    cells: 0,
    longest: 0,
    before: async (_slot: number): Promise<void> => {},
  }
  const open = store.node.openShard.bind(store.node)
  store.node.openShard = async (driveId, id) => {
    const opened = await open(driveId, id)
    if (opened.kind !== 'found') return opened
    const readRun: ShardReader['readRun'] = async (first, count) => {
      state.runs += 1
      state.longest = Math.max(state.longest, count)
      await state.before(id.slot)
      const slot = memory.take()
      const cells: { from: number; to: number }[] = []
      for (let index = first, at = 0; index < first + count; index += 1) {
        const read = await opened.reader.readCell(index, slot.bytes.subarray(at))
        if (read.kind !== 'found') {
          slot.release()
          return undefined
        }
        cells.push({ from: at, to: at + read.bytes })
        at += read.bytes
      }
      return cells.map(({ from, to }) => slot.lend(from, to))
    }
    const readCell: ShardReader['readCell'] = (index, target) => {
      state.cells += 1
      return opened.reader.readCell(index, target)
    }
    return { kind: 'found', reader: { ...opened.reader, readCell, readRun } }
  }
  return { store, state }
}

/** Reads as a sender does: every chunk is used, given back and used for other bytes before the next one comes. */
async function readRange(
  { objects, bucket }: MemoryStore,
  first: number,
  last: number,
): Promise<Buffer> {
  const found = await objects.find(bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const parts: Buffer[] = []
  for await (const chunk of found.object.read({ first, last }, new AbortController())) {
    parts.push(Buffer.from(chunk))
    chunk.fill(0xee)
    giveBack(chunk)
  }
  return Buffer.concat(parts)
}

t.test('ranges are what was written, out of memory that is lent again', async (t) => {
  const bytes = seeded.bytes(5_300_000)
  const { store, state } = await storeOfRuns(bytes)
  const ranges = Array.from({ length: 60 }, () => {
    const first = seeded.below(bytes.length)
    const most = seeded.below(2) === 0 ? 200_000 : bytes.length
    return { first, last: Math.min(bytes.length - 1, first + seeded.below(most)) }
  })
  for (const { first, last } of [{ first: 0, last: bytes.length - 1 }, ...ranges]) {
    const read = await readRange(store, first, last)
    if (!read.equals(bytes.subarray(first, last + 1))) t.fail(`${first}-${last}`)
  }
  const together = await Promise.all(
    ranges.map(async ({ first, last }) =>
      (await readRange(store, first, last)).equals(bytes.subarray(first, last + 1)),
    ),
  )
  t.notOk(together.includes(false))
  t.equal(state.longest, 4, 'several stripes by one read')
  t.same(store.reports, [])
  t.equal(store.node.openReaders, 0)
})

t.test('what was read together is at hand behind its first chunk', async (t) => {
  const bytes = seeded.bytes(5_300_000)
  const { store } = await storeOfRuns(bytes)
  const found = await store.objects.find(store.bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const read = found.object.read({ first: 100_000, last: 4_999_999 }, new AbortController())
  const chunks = read[Symbol.asyncIterator]()
  t.equal(nextAtHand(chunks), undefined, 'nothing before it is asked for')
  const parts: Buffer[] = []
  const waits: number[] = []
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    let chunk: Uint8Array | undefined = next.value
    for (; chunk !== undefined; chunk = nextAtHand(chunks)) {
      parts.push(Buffer.from(chunk))
      giveBack(chunk)
    }
    waits.push(parts.length)
  }
  t.ok(Buffer.concat(parts).equals(bytes.subarray(100_000, 5_000_000)))
  t.same(waits, [16, 32, 39], 'once for each four stripes')
  t.equal(nextAtHand(chunks), undefined)
  t.equal(store.node.openReaders, 0)

  const left = found.object.read({ first: 0, last: 999_999 }, new AbortController())
  const others = left[Symbol.asyncIterator]()
  giveBack((await others.next()).value)
  await others.return!()
  t.equal(nextAtHand(others), undefined, 'who left gets no more')
})

t.test('who leaves early gives back what was read for him, and lets all readers go', async (t) => {
  const bytes = seeded.bytes(8_300_000)
  const { store, state } = await storeOfRuns(bytes, 16)
  const found = await store.objects.find(store.bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const { uid } = found.object.version.blob!
  const { signal } = new AbortController()
  for (let round = 0; round < 20; round += 1) {
    const read = found.object.read({ first: 0, last: bytes.length - 1 }, { signal })
    const chunks = read[Symbol.asyncIterator]()
    t.equal(store.parts.pins.isPinned(uid), false, 'nothing is asked for yet')
    const first = chunks.next()
    t.ok(store.parts.pins.isPinned(uid))
    // Behind the one that is under way, or after some.
    if (round % 2 === 0) await first
    if (round % 2 === 0) for (let at = 0; at < round; at += 1) giveBack((await chunks.next()).value)
    const leaving = chunks.return!()
    const { value } = await first
    t.ok(Buffer.from(value).equals(bytes.subarray(0, value.length)), 'it is whole')
    giveBack(value)
    await leaving
    t.equal((await chunks.next()).done, true)
    t.equal(store.parts.pins.isPinned(uid), false)
    t.equal(store.node.openReaders, 0)
  }
  t.ok(state.slots <= 16, 'the same memory, again and again')
})

t.test('a read that is aborted ends, and keeps nothing', async (t) => {
  const bytes = seeded.bytes(8_300_000)
  const { store } = await storeOfRuns(bytes)
  const found = await store.objects.find(store.bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const { uid } = found.object.version.blob!
  const gone = new AbortController()
  const read = async (): Promise<void> => {
    for await (const chunk of found.object.read({ first: 0, last: bytes.length - 1 }, gone)) {
      giveBack(chunk)
      gone.abort(new Error('away'))
    }
  }
  await t.rejects(read(), { message: 'away' })
  t.equal(store.parts.pins.isPinned(uid), false)
  t.equal(store.node.openReaders, 0)
})

t.test('128 KiB are read by one read of each drive that has some of it', async (t) => {
  const bytes = seeded.bytes(5_300_000)
  const { store, state } = await storeOfRuns(bytes)
  await readRange(store, 10 * CELL, 11 * CELL - 1)
  t.equal(state.runs, 1)
  await readRange(store, 10 * CELL + 5, 11 * CELL + 4)
  t.equal(state.runs, 3)
})

t.test('a rotten cell in a run is made from parity and told of', async (t) => {
  const bytes = seeded.bytes(3_000_000)
  const { store } = await storeOfRuns(bytes)
  const found = await store.objects.find(store.bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const driveId = found.object.version.blob!.drives[2]!
  store.node.rotten.add(`${driveId}/3`)
  t.ok((await readRange(store, 0, bytes.length - 1)).equals(bytes))
  t.match(store.reports, [{ driveId, kind: 'corrupt', id: { slot: 2 } }])
  t.equal(store.node.openReaders, 0)
})

t.test('a drive that is gone is read around, run by run', async (t) => {
  const bytes = seeded.bytes(3_000_000)
  const { store } = await storeOfRuns(bytes)
  const found = await store.objects.find(store.bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  store.node.failed.add(found.object.version.blob!.drives[1]!)
  t.ok((await readRange(store, 100, bytes.length - 1)).equals(bytes.subarray(100)))
})

t.test('a run that is late is made from parity, or used when it comes after all', async (t) => {
  const bytes = seeded.bytes(3_000_000)
  for (const comes of [false, true]) {
    const { store, state } = await storeOfRuns(bytes)
    const hedging = new Hedging({ ...NO_ADVICE, lateAfterMs: () => 60 }, store.parts.world.clock)
    Object.assign(store.parts, { hedging })
    let goOn = (): void => {}
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    state.before = async (slot) => {
      if (slot === 1) await gate
    }
    const reading = stayAlive(readRange(store, 0, bytes.length - 1))
    while (state.runs === 0) await new Promise((resolve) => setImmediate(resolve))
    if (comes) goOn()
    t.ok((await reading).equals(bytes), comes ? 'it comes' : 'it does not')
    goOn()
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.equal(store.node.openReaders, 0)
    t.same(store.reports, [], 'late is not damaged')
  }
})

t.test('memory of runs that were late is lent again while the read goes on', async (t) => {
  const bytes = seeded.bytes(24_000_000)
  const { store, state } = await storeOfRuns(bytes)
  const hedging = new Hedging({ ...NO_ADVICE, lateAfterMs: () => 1 }, store.parts.world.clock)
  Object.assign(store.parts, { hedging })
  const { counts } = hedging
  const lates = (): number => counts.issued + counts.refused
  // It comes once it was missed, and in the end in any case.
  state.before = async (slot) => {
    if (slot !== 1) return
    const before = lates()
    for (let turn = 0; lates() === before && turn < 2_000; turn += 1)
      await new Promise((resolve) => setTimeout(resolve, 1))
  }
  t.ok((await stayAlive(readRange(store, 0, bytes.length - 1))).equals(bytes))
  t.equal(state.runs, 48)
  t.ok(lates() > 4, 'several groups were late')
  t.ok(
    state.slots <= 12,
    `${state.slots} slots: those of the group that is sent, and of the two after it`,
  )
  t.equal(store.node.openReaders, 0)
})

t.test('an error of our own in a run is the error of the read', async (t) => {
  const { store, state } = await storeOfRuns(seeded.bytes(3_000_000))
  state.before = async (slot) => {
    if (slot === 3) throw new Error('too many open files')
  }
  await t.rejects(readRange(store, 0, 2_999_999), /too many open files/)
  await untilClosed(store)
})

t.test('so is one in opening a shard, and the others that are open are closed', async (t) => {
  const { store } = await storeOfRuns(seeded.bytes(3_000_000))
  const open = store.node.openShard.bind(store.node)
  let opened = 0
  store.node.openShard = async (driveId, id) => {
    if (id.slot === 2) throw new Error('too many open files')
    opened += 1
    return await open(driveId, id)
  }
  await t.rejects(readRange(store, 0, 2_999_999), /too many open files/)
  t.ok(opened > 0)
  t.equal(store.node.openReaders, 0)
})

t.test('it does not wait for a drive that hangs', async (t) => {
  const { store, state } = await storeOfRuns(seeded.bytes(3_000_000))
  let goOn = (): void => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  state.before = async (slot) => {
    if (slot === 1) await gate
    if (slot === 3) throw new Error('too many open files')
  }
  await t.rejects(stayAlive(readRange(store, 0, 2_999_999)), /too many open files/)
  t.ok(store.node.openReaders > 0, 'the one that hangs is still open')
  goOn()
  await untilClosed(store)
})

t.test('a suspect drive is not asked for a run', async (t) => {
  const bytes = seeded.bytes(12_000_000)
  const { store, state } = await storeOfRuns(bytes)
  const found = await store.objects.find(store.bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const suspect = found.object.version.blob!.drives[2]!
  const advice = { ...NO_ADVICE, isSuspect: (driveId: number) => driveId === suspect }
  Object.assign(store.parts, { hedging: new Hedging(advice, store.parts.world.clock) })
  state.before = async (slot) => {
    if (slot === 2) t.fail('it was asked')
  }
  t.ok((await readRange(store, 0, bytes.length - 1)).equals(bytes))
  state.runs = 0
  await readRange(store, 0, 2 * CELL - 1)
  t.equal(state.runs, 2, 'others are asked for theirs')
  const asked = await readRange(store, 2 * CELL, 3 * CELL - 1)
  t.ok(asked.equals(bytes.subarray(2 * CELL, 3 * CELL)))
  t.equal(state.runs, 6, 'and for what its cell is made from')
  t.equal(state.cells, 0)
  t.ok(store.parts.hedging.counts.bypassed > 0)
})

t.test('where drives are gone others are read in their place, by runs as well', async (t) => {
  const bytes = seeded.bytes(6_300_000)
  for (const gone of [[0], [1, 2], [0, 5], [3, 4]]) {
    const { store, state } = await storeOfRuns(bytes, 12)
    const found = await store.objects.find(store.bucket, 'k')
    if (found.kind !== 'found') throw new Error(found.kind)
    for (const slot of gone) store.node.failed.add(found.object.version.blob!.drives[slot]!)
    t.ok((await readRange(store, 0, bytes.length - 1)).equals(bytes), `without ${gone}`)
    const reads = Array.from({ length: 40 }, async () => {
      const first = seeded.below(bytes.length)
      const last = Math.min(bytes.length - 1, first + seeded.below(1_500_000))
      return (await readRange(store, first, last)).equals(bytes.subarray(first, last + 1))
    })
    t.notOk((await Promise.all(reads)).includes(false))
    t.equal(state.cells, 0, 'no cell is read for itself')
    t.match(store.reports[0], { kind: 'failed' })
    t.equal(store.node.openReaders, 0)
    t.ok(store.parts.mendingCodec.hasPlenty, 'what mending took is free again')
  }
})

/** Readers are closed behind the back of a read that something was late for. */
async function untilClosed(store: MemoryStore): Promise<void> {
  while (store.node.openReaders > 0) await new Promise((resolve) => setTimeout(resolve, 1))
}
