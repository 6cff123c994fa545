// Reads that need not wait: late cells come from parity, suspect drives are passed by, and the bytes are right.
import t from 'tap'
import { stayAlive } from '../../../src/kit/world.ts'
import { Hedging } from '../../../src/objects/hedging.ts'
import type { CellRead, DriveAdvice } from '../../../src/storage-node/contract.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from './memory-store.ts'

const random = new Seeded(5)

class Advice implements DriveAdvice {
  readonly suspects = new Set<number>()
  readonly #listeners = new Set<() => void>()
  lateMs = 60_000

  isSuspect(driveId: number): boolean {
    return this.suspects.has(driveId)
  }

  lateAfterMs(): number {
    return this.lateMs
  }

  onSuspect(driveId: number, listener: () => void): () => void {
    const guarded = (): void => {
      if (this.suspects.has(driveId)) listener()
    }
    this.#listeners.add(guarded)
    return () => this.#listeners.delete(guarded)
  }

  suspect(driveId: number): void {
    this.suspects.add(driveId)
    for (const listener of this.#listeners) listener()
  }
}

/** A store with one object of several stripes, and one drive whose reads wait for `goOn`. */
async function hangingStore() {
  const store = await openMemoryStore()
  const advice = new Advice()
  const hedging = new Hedging(advice, store.parts.world.clock)
  Object.assign(store.parts, { hedging })
  const bytes = random.bytes(1_500_000)
  await store.objects.put({
    ...{ bucket: store.bucket, key: 'k', conditions: {}, body: bodyOf(bytes) },
    attributes: { headers: {}, userMetadata: {}, storageClass: 'STANDARD' },
    signal: new AbortController().signal,
  })
  let goOn = (): void => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const state = { asked: 0, driveId: 0 }
  const open = store.node.openShard.bind(store.node)
  store.node.openShard = async (driveId, id) => {
    const opened = await open(driveId, id)
    if (opened.kind !== 'found' || id.slot !== 1) return opened
    state.driveId = driveId
    const readCell = async (index: number, target: Uint8Array): Promise<CellRead> => {
      state.asked += 1
      await gate
      return await opened.reader.readCell(index, target)
    }
    return { kind: 'found', reader: { ...opened.reader, readCell } }
  }
  return { store, advice, hedging, bytes, state, goOn }
}

function soon(): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), 5))
}

async function readAll({ objects, bucket }: MemoryStore): Promise<Buffer> {
  const found = await objects.find(bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const last = found.object.version.bytes - 1
  const { signal } = new AbortController()
  return stayAlive(collect(found.object.read({ first: 0, last }, { signal })))
}

t.test('a late cell is made from parity', async (t) => {
  const { store, advice, hedging, bytes, goOn } = await hangingStore()
  // No drive but the one that hangs takes so long.
  advice.lateMs = 250
  t.ok(bytes.equals(await readAll(store)), 'while the drive hangs')
  t.match(hedging.counts, { issued: 3, won: 3, bypassed: 0 })
  t.same(store.reports, [], 'late is not damaged')
  goOn()
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(store.node.openReaders, 0, 'readers are closed in the end')
  t.equal(store.parts.mendingCodec.freeStripes > 0, true)
})

t.test('a drive that becomes suspect is waited for no more, and then not asked', async (t) => {
  const { store, advice, hedging, bytes, state, goOn } = await hangingStore()
  const reading = readAll(store)
  while (state.asked === 0) await new Promise((resolve) => setImmediate(resolve))
  advice.suspect(state.driveId)
  t.ok(bytes.equals(await reading))
  t.ok(hedging.counts.bypassed > 0)
  const { asked } = state
  t.ok(bytes.equals(await readAll(store)))
  t.equal(state.asked, asked, 'the suspect is left alone')
  goOn()
})

t.test('where nothing else is left a suspect is asked after all', async (t) => {
  const { store, advice, bytes, state, goOn } = await hangingStore()
  goOn()
  await readAll(store)
  advice.suspect(state.driveId)
  const { slots } = store.parts.coordinator.state.map
  const others = [...new Set(slots.flat())].filter((id) => id !== state.driveId)
  for (const driveId of others.slice(0, 2)) store.node.failed.add(driveId)
  t.ok(bytes.equals(await readAll(store)), 'four of six, one of them suspect')
})

t.test('the budget is small: past it a late cell is waited for', async (t) => {
  const { store, advice, hedging, bytes, goOn } = await hangingStore()
  advice.lateMs = 1
  for (let read = 0; hedging.counts.refused === 0 && read < 20; read += 1) {
    const reading = readAll(store)
    const done = reading.then(() => true)
    while (hedging.counts.refused === 0 && !(await Promise.race([done, soon()])));
    if (hedging.counts.refused > 0) goOn()
    t.ok(bytes.equals(await reading))
  }
  t.ok(hedging.counts.refused > 0, 'reads were refused')
  t.ok(hedging.counts.issued <= 20, 'no more than a few were issued')
})
