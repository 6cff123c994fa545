// One generated sequence of operations on a shard store, with the power off everywhere in it, and in the recovery too.
import { putShard, sampleShard } from '../contracts/shard-samples.ts'
import { Seeded } from '../support/seeded.ts'
import { type CrashPoint, CrashPoints } from './crash-points.ts'
import { ForgetfulMachine, NOTHING } from './forgetful-machine.ts'
import type { SequenceResult } from './sequences.ts'
import {
  allOrThrow,
  findFaults,
  INDEX_PATH,
  type Known,
  makeDrive,
  type Running,
  ShardScript,
  start,
  stop,
  type WorldOf,
} from './shard-script.ts'
import { byLoadedCoins } from './survivals.ts'

export interface SequenceOptions {
  /** Steps of the script; each is several operations of the disk. */
  steps: number
  /** All survivals at every operation. */
  dense: boolean
  stride?: number
  worldOf?: WorldOf
}

const FAULTS_MAX = 5

/** Runs the sequence of a seed and looks at every crash of it. */
export async function runShardSequence(
  seed: number,
  options: SequenceOptions,
): Promise<SequenceResult> {
  const points = await collectPoints(seed, options)
  const result: SequenceResult = { crashes: 0, faults: [] }
  for (const point of points) {
    if (result.faults.length >= FAULTS_MAX) break
    result.crashes += 1
    const faults = await lookAt(point, result).catch((error) => [String(error?.stack ?? error)])
    result.faults.push(...faults.map((fault) => `${point.at}: ${fault}`))
  }
  return result
}

async function collectPoints(
  seed: number,
  { steps, dense, stride, worldOf }: SequenceOptions,
): Promise<CrashPoint<Known>[]> {
  const machine = new ForgetfulMachine(seed, { disk: { isThrough: seed % 2 === 0 } })
  await makeDrive(machine)
  const script = new ShardScript(machine, seed, worldOf)
  const known = (): Known => new Map(script.known)
  const points = new CrashPoints(machine, { seed, dense, known, ...(stride ? { stride } : {}) })
  await script.open()
  for (let step = 0; step < steps; step += 1) points.pause(`after ${await script.step()}`)
  await script.close()
  points.pause('closed')
  points.stop()
  return points.points
}

async function lookAt(
  { machine, known, seed }: CrashPoint<Known>,
  result: SequenceResult,
): Promise<string[]> {
  const seeded = new Seeded(seed * 31)
  for (let warm = 0; warm < 4; warm += 1) seeded.below(2)
  const lost = await harmIndex(machine, seeded)
  const faults: string[] = []
  if (seeded.below(4) === 0) faults.push(...(await crashWhileRecovering(machine, known, result)))
  const running = await start(machine)
  faults.push(...(await findFaults(running.store, known)))
  faults.push(...(await goOn(machine, running, known, seeded)))
  return lost === undefined ? faults : faults.map((fault) => `${lost}: ${fault}`)
}

/** LevelDB may lose everything, or give back other bytes than it was given. */
async function harmIndex(machine: ForgetfulMachine, seeded: Seeded): Promise<string | undefined> {
  const dice = seeded.below(10)
  if (dice === 0) {
    machine.levels.clear(INDEX_PATH)
    return 'index lost'
  }
  if (dice > 1) return undefined
  const pick = (): boolean => seeded.below(4) === 0
  const harmed = await machine.levels.rot(INDEX_PATH, pick, (value) => {
    value[seeded.below(value.length)]! ^= 1 << seeded.below(8)
  })
  return harmed ? 'index rotten' : undefined
}

/** The power goes off again while the store is opened, and once more while that is opened. */
async function crashWhileRecovering(
  machine: ForgetfulMachine,
  known: Known,
  result: SequenceResult,
): Promise<string[]> {
  const seeded = new Seeded(machine.disk.files('').length + 7)
  let current = machine.crash(NOTHING, 3)
  const faults: string[] = []
  for (let round = 1; round <= 2; round += 1) {
    const plan = { seed: round, dense: false, known: () => undefined }
    const points = new CrashPoints(current, plan)
    await stop(await start(current))
    points.stop()
    if (points.points.length === 0) return faults
    const point = seeded.pick(points.points)
    result.crashes += 1
    const running = await start(point.machine.crash(NOTHING, 4))
    const found = await findFaults(running.store, new Map(known))
    faults.push(...found.map((fault) => `again in recovery at ${point.at}: ${fault}`))
    current = point.machine
  }
  return faults
}

/** Forward progress: shards of both kinds are taken, compaction runs, and all of it survives the next power loss. */
async function goOn(
  machine: ForgetfulMachine,
  { store }: Running,
  known: Known,
  seeded: Seeded,
): Promise<string[]> {
  const shards = [sampleShard(seeded, 700, 1024), sampleShard(seeded, 2600, 1024)]
  await allOrThrow([...shards.map((shard) => putShard(store, shard)), store.compactOnce()])
  for (const shard of shards) known.set(shard, 'committed')
  await store.compactOnce()
  const survives = seeded.below(2) === 0 ? NOTHING : byLoadedCoins(seeded.below(1e6))
  const again = await start(machine.crash(survives, 5))
  const faults = await findFaults(again.store, known)
  return faults.map((fault) => `second crash: ${fault}`)
}
