// The rule of a cluster: how many shards are durable at an acknowledgement, and who is not waited for.
import fc from 'fast-check'
import t from 'tap'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { MatrixId } from '../../../src/kit/erasure-code.ts'
import type { Clock } from '../../../src/kit/world.ts'
import { type Blob, MISSING_SLOT } from '../../../src/metadata/records.ts'
import { TooFewDrives } from '../../../src/objects/shard-fan.ts'
import { writeQuorum } from '../../../src/objects/write-quorum.ts'
import type { WriteRule } from '../../../src/objects/write-rule.ts'
import { quorumOf } from '../../../src/placement/quorum.ts'
import type { ShardWriter } from '../../../src/storage-node/contract.ts'
import { Seeded } from '../../support/seeded.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from './memory-store.ts'

const random = new Seeded(61)
const { signal } = new AbortController()
const SMALL = random.bytes(1000)
const LARGE = random.bytes(1_500_000)

function codeOf(dataCount: number, parityCount: number) {
  return { dataCount, parityCount, matrix: MatrixId.CentredVandermonde }
}

/** Time passes when a test says so. */
class HeldClock implements Pick<Clock, 'sleep' | 'monotonicMs'> {
  nowMs = 0
  readonly #sleepers = new Set<{ untilMs: number; wake: () => void }>()

  monotonicMs(): number {
    return this.nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { untilMs: this.nowMs + ms, wake: resolve }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason)
      })
    })
  }

  get asleep(): number {
    return this.#sleepers.size
  }

  /** To the end of the shortest sleep; returns how long it took. */
  pass(): number {
    const untilMs = Math.min(...[...this.#sleepers].map((sleeper) => sleeper.untilMs))
    const passedMs = untilMs - this.nowMs
    this.nowMs = untilMs
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs > untilMs) continue
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
    return passedMs
  }
}

/** A store of some drives on so many nodes, by the rule of a cluster, of which some drives hang. */
async function openQuorumStore(nodes = 6, drives = 6) {
  const store = await openMemoryStore(drives)
  const clock = new HeldClock()
  const away = new Set<number>()
  const rule = writeQuorum({
    clock,
    coordinator: store.coordinator,
    nodeOf: (driveId) => `n${driveId % nodes}`,
    isAway: (driveId) => away.has(driveId),
  })
  Object.assign(store.parts, { writeRule: rule })
  // Drives of other processes take a small shard as they take any other.
  Object.assign(store.node, { copies: undefined })
  const hanging = hangAt(store)
  return { ...store, clock, away, rule, hanging }
}

type Step = 'begin' | 'write' | 'commit'

/** Drives that hang in a step, until `goOn` is called. */
function hangAt({ node }: MemoryStore) {
  const drives = new Map<number, Step>()
  let goOn = (): void => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const begin = node.beginShard.bind(node)
  const passing = async (driveId: number, step: Step): Promise<void> => {
    if (drives.get(driveId) === step) await gate
  }
  node.beginShard = async (driveId, description): Promise<ShardWriter> => {
    await passing(driveId, 'begin')
    const writer = await begin(driveId, description)
    return {
      ...writer,
      write: async (cell) => {
        await passing(driveId, 'write')
        await writer.write(cell)
      },
      commit: async (metadata) => {
        await passing(driveId, 'commit')
        await writer.commit(metadata)
      },
    }
  }
  return { drives, goOn: () => goOn() }
}

async function put({ objects, bucket }: MemoryStore, bytes: Uint8Array): Promise<Blob> {
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
  const body = bodyOf(bytes)
  const answer = await objects.put({
    ...{ bucket, key: 'k', attributes, conditions: {}, body, signal },
  })
  if (answer.kind !== 'done' || !answer.version.blob) throw new Error(answer.kind)
  return answer.version.blob
}

async function read({ objects, bucket }: MemoryStore): Promise<Buffer> {
  const found = await objects.find(bucket, 'k')
  if (found.kind !== 'found') throw new Error(found.kind)
  const { object } = found
  return await collect(object.read({ first: 0, last: object.version.bytes - 1 }, { signal }))
}

/** Waits for somebody to go to sleep: nothing else is under way then but what hangs. */
async function fallenAsleep(clock: HeldClock): Promise<void> {
  while (clock.asleep === 0) await nextTurn()
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const missingIn = ({ drives }: Blob): number => drives.filter((id) => id === MISSING_SLOT).length

t.test('so many shards are durable', async (t) => {
  const rows: [data: number, parity: number, quorum: number][] = [
    [4, 2, 5],
    [6, 3, 7],
    [8, 4, 10],
    [1, 2, 2],
    [1, 1, 2],
    [2, 1, 3],
    [1, 0, 1],
  ]
  for (const [data, parity, quorum] of rows)
    t.equal(quorumOf(codeOf(data, parity)), quorum, `${data}+${parity}`)
})

t.test(
  'no node holds what the others can not do without, where the layout permits it',
  async () => {
    const shape = fc.record({
      data: fc.integer({ min: 1, max: 8 }),
      parity: fc.integer({ min: 1, max: 4 }),
      nodes: fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 12, maxLength: 12 }),
      durable: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
    })
    fc.assert(
      fc.property(shape, ({ data, parity, nodes, durable }) => {
        const code = codeOf(data, parity)
        const home = Array.from({ length: data + parity }, (_, index) => index + 1)
        const coordinator = { state: { map: { slots: [home] } } }
        const nodeOf = (id: number): string => String(nodes[id - 1])
        const rule = ruleOver(coordinator, nodeOf)
        const drives = home.filter((id) => durable[id - 1])
        const bears = (ids: number[]): boolean =>
          nodes.every((gone) => ids.filter((id) => nodes[id - 1] !== gone).length >= data)
        const wanted = drives.length >= quorumOf(code) && (bears(drives) || !bears(home))
        return rule.isEnough({ code, partition: 0 }, drives) === wanted
      }),
    )
  },
)

function ruleOver(coordinator: unknown, nodeOf: (id: number) => string): WriteRule {
  const parts = { clock: new HeldClock(), coordinator, nodeOf, isAway: () => false }
  return writeQuorum(parts as Parameters<typeof writeQuorum>[0])
}

t.test('a shard that is not durable in time is owed, and may land later', async (t) => {
  const store = await openQuorumStore()
  store.hanging.drives.set(3, 'commit')
  const putting = put(store, LARGE)
  await fallenAsleep(store.clock)
  t.equal(store.clock.pass(), 500)
  const blob = await putting
  t.equal(missingIn(blob), 1)
  t.notOk(blob.drives.includes(3))
  t.ok(LARGE.equals(await read(store)))
  t.equal(store.node.drives.get(3)?.size ?? 0, 0)
  store.hanging.goOn()
  await landed(store, 3)
  t.equal(store.node.aborted, 0)
})

async function landed({ node }: MemoryStore, driveId: number): Promise<void> {
  while ((node.drives.get(driveId)?.size ?? 0) === 0) await nextTurn()
}

t.test('a shard that takes nothing is given up', async (t) => {
  const store = await openQuorumStore()
  store.hanging.drives.set(3, 'write')
  const putting = put(store, LARGE)
  await fallenAsleep(store.clock)
  t.equal(store.clock.pass(), 5000)
  const blob = await putting
  t.equal(missingIn(blob), 1)
  t.notOk(blob.drives.includes(3))
  t.equal(store.node.aborted, 1)
  t.ok(LARGE.equals(await read(store)))
})

t.test('while too few shards are on their way everybody is waited for', async (t) => {
  const store = await openQuorumStore()
  for (const driveId of [2, 3]) store.hanging.drives.set(driveId, 'commit')
  let isAnswered = false
  const putting = put(store, LARGE).finally(() => {
    isAnswered = true
  })
  for (let turn = 0; turn < 200; turn += 1) await nextTurn()
  t.notOk(isAnswered)
  t.equal(store.clock.asleep, 0)
  store.hanging.goOn()
  t.equal(missingIn(await putting), 0)
})

t.test('what can not be begun goes to other drives, and no shard is owed', async (t) => {
  for (const trouble of ['hangs', 'failed', 'seems away'] as const) {
    const store = await openQuorumStore()
    const begun = countBegun(store)
    if (trouble === 'hangs') store.hanging.drives.set(3, 'begin')
    if (trouble === 'failed') store.node.failed.add(3)
    if (trouble === 'seems away') store.away.add(3)
    const putting = put(store, LARGE)
    if (trouble === 'hangs') {
      await fallenAsleep(store.clock)
      t.equal(store.clock.pass(), 5000)
    }
    const { code, drives } = await putting
    t.match(code, { dataCount: 3, parityCount: 2 }, trouble)
    t.same([...drives].sort(), [1, 2, 4, 5, 6])
    t.equal(begun(3), trouble === 'seems away' ? 0 : 1)
    t.ok(LARGE.equals(await read(store)))
    store.hanging.goOn()
  }
})

function countBegun({ node }: MemoryStore): (driveId: number) => number {
  const asked: number[] = []
  const begin = node.beginShard.bind(node)
  node.beginShard = (driveId, description) => {
    asked.push(driveId)
    return begin(driveId, description)
  }
  return (driveId) => asked.filter((id) => id === driveId).length
}

t.test('a shard that is begun too late is given up, though another drive is full', async (t) => {
  const store = await openQuorumStore(9, 9)
  const [full, hanging] = (await put(store, LARGE)).drives as [number, number]
  store.hanging.drives.set(hanging, 'begin')
  const open = { begun: 0, aborted: 0 }
  const begin = store.node.beginShard.bind(store.node)
  store.node.beginShard = async (driveId, description) => {
    if (driveId === full) throw new DriveUnavailable(driveId, 'full')
    const writer = await begin(driveId, description)
    if (driveId !== hanging) return writer
    open.begun += 1
    const abort = async (): Promise<void> => {
      open.aborted += 1
    }
    return { ...writer, abort }
  }
  const putting = put(store, LARGE)
  for (let stall = 0; stall < 2; stall += 1) {
    await fallenAsleep(store.clock)
    t.equal(store.clock.pass(), 5000)
  }
  const blob = await putting
  t.equal(missingIn(blob), 0)
  t.notOk(blob.drives.includes(full) || blob.drives.includes(hanging))
  store.hanging.goOn()
  while (open.begun < 2) await nextTurn()
  await nextTurn()
  t.equal(open.aborted, 2)
})

t.test('where all drives seem to be away they are asked nevertheless', async (t) => {
  const store = await openQuorumStore()
  for (let id = 1; id <= 6; id += 1) store.away.add(id)
  t.equal(missingIn(await put(store, LARGE)), 0)
})

t.test('too few shards, or too many of them on one node, are no acknowledgement', async (t) => {
  const rows: [nodes: number, failing: number[], isEnough: boolean][] = [
    [6, [3], true],
    [6, [3, 4], false],
    [3, [3], false],
  ]
  for (const [nodes, failing, isEnough] of rows) {
    const store = await openQuorumStore(nodes)
    store.node.beforeWrite = (driveId) => {
      if (failing.includes(driveId)) throw new DriveUnavailable(driveId, 'failed')
    }
    const putting = put(store, LARGE).then(missingIn)
    const message = `${nodes} nodes, drives ${failing} fail`
    if (isEnough) {
      // Who has failed is not waited for.
      t.equal(await putting, failing.length, message)
      t.ok(LARGE.equals(await read(store)))
    } else await t.rejects(putting, TooFewDrives, message)
  }
})

t.test('small objects are on two nodes at least', async (t) => {
  const store = await openQuorumStore(2)
  const { drives } = await put(store, SMALL)
  const [first, ...others] = drives as [number, ...number[]]
  // The only copy on another node than the others hangs.
  const isAlone = others.filter((id) => id % 2 === first % 2).length !== 1
  const lonely = isAlone ? first : others.find((id) => id % 2 !== first % 2)!
  store.hanging.drives.set(lonely, 'commit')
  let isAnswered = false
  const putting = put(store, SMALL).finally(() => {
    isAnswered = true
  })
  for (let turn = 0; turn < 50; turn += 1) await nextTurn()
  t.notOk(isAnswered)
  store.hanging.goOn()
  t.equal(missingIn(await putting), 0)
})
