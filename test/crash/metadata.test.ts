// The power goes off at operations all over a script of changes of rows and of versions, markers, restarts and new replicas, with everything,
// nothing or some of what was not synced left. After the next start, with up to two drives less, every
// acknowledged change is there, and the store goes on.
import { dropReplicasOn } from '../../src/placement/coordinator-changes.ts'
import { Seeded } from '../support/seeded.ts'
import { byChance, EVERYTHING, ForgetfulMachine, NOTHING } from './forgetful-machine.ts'
import type { Survival } from './forgetful-node.ts'
import {
  DRIVES,
  drivePath,
  makeCluster,
  PARTITIONS,
  type Running,
  start,
  stop,
} from './metadata-world.ts'
import { chooseVersionChange, readVersions } from './version-life.ts'

/** Every value that a row may have now: one when its last change was acknowledged. */
type Expected = Map<string, Set<string | undefined>>

const CUTS_PER_SEED = Number(process.env.CUTS ?? 25)

async function change(running: Running, seeded: Seeded, expected: Expected): Promise<void> {
  if (seeded.below(3) === 0) return await changeVersions(running, seeded, expected)
  const partition = seeded.below(PARTITIONS)
  const key = `k${seeded.below(12)}`
  const value =
    seeded.below(4) === 0 ? undefined : `v${seeded.below(1e9)}`.repeat(1 + seeded.below(1500))
  const name = `${partition}/${key}`
  const before = expected.get(name) ?? new Set([undefined])
  expected.set(name, new Set([...before, value]))
  const change = { key: Buffer.from(key), value: value && Buffer.from(value) }
  await running.host.partitionLog(partition).append([change as never])
  expected.set(name, new Set([value]))
}

async function changeVersions(running: Running, seeded: Seeded, expected: Expected): Promise<void> {
  const { name, after, apply } = await chooseVersionChange(running, seeded)
  expected.set(name, new Set([...(expected.get(name) ?? ['']), after]))
  await apply()
  expected.set(name, new Set([after]))
}

async function runScript(
  machine: ForgetfulMachine,
  seed: number,
  expected: Expected,
): Promise<void> {
  const seeded = new Seeded(seed)
  let running = await start(machine)
  for (let step = 0; step < 30; step += 1) {
    await change(running, seeded, expected)
    if (step % 5 === 4) await running.host.mark()
    if (step === 12) {
      await running.coordinator.decide(dropReplicasOn(1 + seeded.below(DRIVES)))
      await Promise.all([running.host.mend(), change(running, seeded, expected)])
    }
    if (step !== 20) continue
    await stop(running)
    running = await start(machine)
  }
  await stop(running)
}

async function readRow({ host }: Running, name: string): Promise<string | undefined> {
  const [partition, key] = name.split('/') as [string, string]
  const read = await host.partitionLog(Number(partition)).rows.get(Buffer.from(key))
  return read && Buffer.from(read).toString()
}

async function findFaults(running: Running, expected: Expected): Promise<string[]> {
  const faults: string[] = []
  for (const [name, allowed] of expected) {
    const read = name.includes('#') ? readVersions : readRow
    const actual = await read(running, name)
    if (!allowed.has(actual)) {
      const wanted = [...allowed].map((value) => value?.slice(0, 12))
      faults.push(`${name} is ${actual?.slice(0, 12)}, not ${wanted}`)
    }
    // What was read holds: an unacknowledged change does not come or go later.
    expected.set(name, new Set([actual]))
  }
  return faults
}

async function loseDrives(machine: ForgetfulMachine, seeded: Seeded): Promise<void> {
  for (let count = seeded.below(3); count > 0; count -= 1) {
    await machine.disk.removeTree(drivePath(1 + seeded.below(DRIVES)))
  }
}

async function crashAt(cut: number, seed: number, survives: Survival): Promise<string[]> {
  const machine = new ForgetfulMachine(seed)
  await makeCluster(machine)
  const expected: Expected = new Map()
  machine.disk.powerOffAfter(cut)
  // Whatever the script makes of a machine without power.
  await runScript(machine, seed, expected).catch(() => {})
  const after = machine.crash(survives, seed + 1)
  const seeded = new Seeded(seed * 31 + cut)
  await loseDrives(after, seeded)
  const running = await start(after)
  const faults = await findFaults(running, expected)
  for (let step = 0; step < 5; step += 1) await change(running, seeded, expected)
  await running.host.mend()
  const again = await start(after.crash(NOTHING, seed + 2))
  const later = await findFaults(again, expected)
  return [...faults, ...later.map((fault) => `second crash: ${fault}`)]
}

async function countOperations(seed: number): Promise<number> {
  const machine = new ForgetfulMachine(seed)
  await makeCluster(machine)
  const before = machine.disk.operations
  await runScript(machine, seed, new Map())
  return machine.disk.operations - before
}

async function crashAllOver(seed: number): Promise<string[]> {
  const found: string[] = []
  const total = await countOperations(seed)
  const stride = Math.max(1, Math.floor(total / CUTS_PER_SEED))
  for (let cut = seed % stride; cut <= total && found.length < 5; cut += stride) {
    const ways: [string, Survival][] = [
      ['everything', EVERYTHING],
      ['nothing', NOTHING],
      ['chance', byChance(seed * 1000 + cut)],
    ]
    for (const [name, survives] of ways) {
      const faults = await crashAt(cut, seed, survives).catch((error) => [String(error.stack)])
      found.push(...faults.map((fault) => `operation ${cut}, ${name} survives: ${fault}`))
    }
  }
  return found
}

const seeds = (process.env.SEEDS ?? '1,2').split(',').map(Number)
const found = new Map<number, string[]>()
for (const seed of seeds) found.set(seed, await crashAllOver(seed))

// Only now: tap follows every promise from the moment it is imported, and the restarts above make millions.
const { default: t } = await import('tap')
for (const [seed, faults] of found) t.same(faults, [], `power off all over, seed ${seed}`)
