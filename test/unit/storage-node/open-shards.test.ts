// Files that are kept open: what changed on the drive is never read from a file that is open from before.
import t from 'tap'
import type { DiskFile } from '../../../src/kit/world.ts'
import { OpenShards, type ShardFileOpened } from '../../../src/storage-node/open-shards.ts'

/** A drive of which each file knows its generation; `links` of a file are 0 once another took its place. */
function drive() {
  const state = { nowMs: 0, opened: 0, closed: 0, looked: 0, generation: new Map<string, number>() }
  const links = new Map<DiskFile, number>()
  const shards = new OpenShards({
    clock: { monotonicMs: () => state.nowMs },
    open: async (name) => {
      const generation = state.generation.get(name)
      if (generation === undefined) return { kind: 'missing' }
      state.opened += 1
      const close = async (): Promise<void> => {
        state.closed += 1
      }
      const file = { close } as unknown as DiskFile
      links.set(file, 1)
      return { kind: 'found', file, header: { groupOffset: generation } } as ShardFileOpened
    },
    isNamed: async (file) => {
      state.looked += 1
      return links.get(file)! > 0
    },
  })
  const unlinkAll = (): void => {
    for (const file of links.keys()) links.set(file, 0)
  }
  const generationOf = async (name: string): Promise<number | string> => {
    const held = await shards.hold(name)
    if (held.kind !== 'found') return held.kind
    await held.close()
    return held.header.groupOffset
  }
  return { state, shards, generationOf, unlinkAll }
}

t.test('a shard is opened once for many readers', async (t) => {
  const { state, shards, generationOf } = drive()
  state.generation.set('a', 1)
  t.same(await Promise.all([generationOf('a'), generationOf('a')]), [1, 1])
  t.equal(await generationOf('a'), 1)
  t.match(state, { opened: 1, closed: 0, looked: 0 })
  await shards.close()
  t.equal(state.closed, 1)
})

t.test('what was forgotten is opened anew, and closed when its last reader is done', async (t) => {
  const { state, shards, generationOf } = drive()
  state.generation.set('a', 1)
  const held = await shards.hold('a')
  state.generation.set('a', 2)
  shards.forget('a')
  t.equal(await generationOf('a'), 2)
  t.equal(state.closed, 0, 'somebody reads from it')
  if (held.kind === 'found') await held.close()
  t.equal(state.closed, 1)
  state.generation.delete('a')
  shards.forget('a')
  t.equal(await generationOf('a'), 'missing')
  t.match(state, { opened: 2, closed: 2 })
})

t.test('a shard that is forgotten while it is being opened is not kept', async (t) => {
  const { state, shards, generationOf } = drive()
  state.generation.set('a', 1)
  const holding = shards.hold('a')
  shards.forget('a')
  state.generation.set('a', 2)
  t.equal(await generationOf('a'), 2)
  const held = await holding
  if (held.kind === 'found') await held.close()
  t.match(state, { opened: 2, closed: 1 })
})

t.test(
  'what is at hand needs no look: until it is forgotten, or nobody looked for a while',
  async (t) => {
    const { state, shards, generationOf } = drive()
    const atHand = (): number | undefined => {
      const held = shards.holdAtHand('a')
      t.equal(held?.close(), undefined, 'nothing is waited for')
      return held?.header.groupOffset
    }
    state.generation.set('a', 1)
    const holding = shards.hold('a')
    t.equal(atHand(), undefined, 'it is being opened')
    const held = await holding
    t.equal(atHand(), 1)
    if (held.kind === 'found') await held.close()
    t.equal(atHand(), 1)
    state.nowMs = 1_000
    t.equal(atHand(), undefined)
    t.equal(await generationOf('a'), 1)
    t.equal(atHand(), 1)
    shards.forget('a')
    t.equal(atHand(), undefined)
    await new Promise(setImmediate)
    t.match(state, { opened: 1, closed: 1, looked: 1 })
  },
)

t.test('what is at hand closes with its last user', async (t) => {
  const { state, shards, generationOf } = drive()
  state.generation.set('a', 1)
  await generationOf('a')
  const held = shards.holdAtHand('a')
  shards.forget('a')
  t.equal(state.closed, 0)
  await held?.close()
  t.equal(state.closed, 1)
})

t.test('what is missing is not kept', async (t) => {
  const { state, shards, generationOf } = drive()
  t.equal(await generationOf('a'), 'missing')
  t.equal(shards.size, 0)
  state.generation.set('a', 1)
  t.equal(await generationOf('a'), 1)
})

t.test('what others removed is noticed: at once by who asks, else after a while', async (t) => {
  const { state, shards, generationOf, unlinkAll } = drive()
  state.generation.set('a', 1)
  const held = await shards.hold('a')
  if (held.kind !== 'found') throw new Error(held.kind)
  state.generation.set('a', 2)
  unlinkAll()
  t.equal(await generationOf('a'), 1, 'nobody looked')
  state.nowMs = 1_000
  t.equal(await generationOf('a'), 2)
  unlinkAll()
  t.equal(await held.isThere(), false)
  await held.close()
  t.equal(state.closed, 1)
  const again = await shards.hold('a')
  if (again.kind !== 'found') throw new Error(again.kind)
  state.generation.set('a', 3)
  t.equal(await again.isThere(), false)
  await again.close()
  t.equal(await generationOf('a'), 3)
})

t.test('no more are kept than there is room for', async (t) => {
  const { state, shards, generationOf } = drive()
  for (let index = 0; index < 200; index += 1) {
    state.generation.set(String(index), index)
    t.equal(await generationOf(String(index)), index)
  }
  t.ok(shards.size < 100)
  t.equal(state.opened - state.closed, shards.size)
})
