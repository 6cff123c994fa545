// The power goes off at every operation of a script, with everything, nothing or some of what was not synced left.
// After the next start every committed shard is whole, nothing half-written is visible, and the store goes on.
import { silentLog } from '../../src/kit/log.ts'
import { Drive } from '../../src/storage-node/drive.ts'
import { formatDrive } from '../../src/storage-node/drive-format.ts'
import { ShardStore, type ShardStoreOptions } from '../../src/storage-node/shard-store.ts'
import { judgeShard, putShard, type SampleShard, sampleShard } from '../contracts/shard-samples.ts'
import { Seeded } from '../support/seeded.ts'
import { PowerOff } from './forgetful-disk.ts'
import { byChance, EVERYTHING, ForgetfulMachine, NOTHING } from './forgetful-machine.ts'
import type { Survival } from './forgetful-node.ts'

const marker = { format: 4, clusterId: 'test', driveId: 7, uuid: 'seven', createdMs: 1 }
const PATH = '/drive'
// Small segments and a low border between segments and files, so that a short script crosses every seam.
const OPTIONS: ShardStoreOptions = { segmentBytes: 16 * 1024, segmentShardBytes: 2500, graceMs: 0 }

/** What is known of every shard that a script touched. */
type Expected = Map<SampleShard, 'trying' | 'committed' | 'deleting' | 'deleted'>

interface Running {
  store: ShardStore
  drive: Drive
}

async function start(machine: ForgetfulMachine): Promise<Running> {
  const { world, levels } = machine
  const { openLevel } = levels
  const drive = await Drive.open(world, PATH, marker, { openLevel })
  const store = await ShardStore.open(drive, { world, log: silentLog, openLevel }, OPTIONS)
  return { store, drive }
}

async function newMachine(seed: number): Promise<ForgetfulMachine> {
  const machine = new ForgetfulMachine(seed)
  await machine.disk.makeDirectory(PATH)
  await machine.disk.syncDirectory('/')
  await formatDrive(machine.world, PATH, marker)
  return machine
}

/** Puts, deletes, compacts and restarts; groups of shards go together so that they share a sync. */
async function runScript(
  machine: ForgetfulMachine,
  seed: number,
  expected: Expected,
): Promise<void> {
  const seeded = new Seeded(seed)
  let running = await start(machine)
  for (let step = 0; step < 12; step += 1) {
    await putSome(running.store, seeded, expected)
    if (step % 3 === 1) await deleteSome(running.store, seeded, expected)
    if (step % 4 === 2) await running.store.compactOnce()
    if (step !== 6) continue
    await running.store.close()
    await running.drive.close()
    running = await start(machine)
  }
  await running.store.compactOnce()
}

async function putSome(store: ShardStore, seeded: Seeded, expected: Expected): Promise<void> {
  const shards = Array.from({ length: 1 + seeded.below(4) }, () => {
    const bytes = seeded.below(5) === 0 ? 3000 + seeded.below(2000) : seeded.below(2000)
    return sampleShard(seeded, bytes, 1024)
  })
  const puts = shards.map(async (shard) => {
    expected.set(shard, 'trying')
    await putShard(store, shard)
    expected.set(shard, 'committed')
  })
  await allOrThrow(puts)
}

async function deleteSome(store: ShardStore, seeded: Seeded, expected: Expected): Promise<void> {
  for (const [shard, state] of expected) {
    if (state !== 'committed' || seeded.below(3) === 0) continue
    expected.set(shard, 'deleting')
    await store.deleteShard(shard.description.id)
    expected.set(shard, 'deleted')
  }
}

/** Waits for all, then throws what the first one threw: nothing goes on in the background. */
async function allOrThrow(promises: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === 'rejected') throw result.reason
  }
}

/** What is wrong with the store; empty when all is well. */
async function findFaults(store: ShardStore, expected: Expected): Promise<string[]> {
  const faults: string[] = []
  for (const [shard, state] of expected) {
    const { id, shardBytes } = shard.description
    const judged = await judgeShard(store, shard)
    const allowed = state === 'committed' ? ['whole'] : ['whole', 'missing']
    if (!allowed.includes(judged)) {
      faults.push(`${state} shard ${id.uid} of ${shardBytes} bytes is ${judged}`)
    }
  }
  return faults
}

async function crashAt(cut: number, seed: number, survives: Survival): Promise<string[]> {
  const machine = await newMachine(seed)
  const expected: Expected = new Map()
  machine.disk.powerOffAfter(cut)
  try {
    await runScript(machine, seed, expected)
  } catch (error) {
    if (!isPowerOff(error)) throw error
  }
  const after = machine.crash(survives, seed + 1)
  const { store } = await start(after)
  const faults = await findFaults(store, expected)
  return [...faults, ...(await goOn(after, store, expected))]
}

/** Forward progress: the store takes shards, compacts, and survives the loss of all that it did not sync. */
async function goOn(
  machine: ForgetfulMachine,
  store: ShardStore,
  expected: Expected,
): Promise<string[]> {
  const seeded = new Seeded(99)
  await putSome(store, seeded, expected)
  await store.compactOnce()
  await store.compactOnce()
  const again = await start(machine.crash(NOTHING, 5))
  return (await findFaults(again.store, expected)).map((fault) => `second crash: ${fault}`)
}

function isPowerOff(error: unknown): boolean {
  if (error instanceof PowerOff) return true
  return error instanceof Error && error.cause !== undefined && isPowerOff(error.cause)
}

async function countOperations(seed: number): Promise<number> {
  const machine = await newMachine(seed)
  const before = machine.disk.operations
  await runScript(machine, seed, new Map())
  return machine.disk.operations - before
}

async function crashEverywhere(seed: number): Promise<string[]> {
  const found: string[] = []
  const total = await countOperations(seed)
  for (let cut = 0; cut <= total && found.length < 5; cut += 1) {
    const ways: [string, Survival][] = [
      ['everything', EVERYTHING],
      ['nothing', NOTHING],
      ['chance', byChance(seed * 1000 + cut)],
    ]
    for (const [name, survives] of ways) {
      const faults = await crashAt(cut, seed, survives)
      found.push(...faults.map((fault) => `operation ${cut}, ${name} survives: ${fault}`))
    }
  }
  return found
}

const found = new Map<number, string[]>()
for (const seed of [1, 2]) found.set(seed, await crashEverywhere(seed))

// Only now: tap follows every promise from the moment it is imported, and the restarts above make millions.
const { default: t } = await import('tap')
for (const [seed, faults] of found) t.same(faults, [], `power off everywhere, seed ${seed}`)
