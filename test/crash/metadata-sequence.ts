// One generated sequence of commands on a metadata host, with the power off everywhere in it, and drives, LevelDBs or
// nothing else lost with it.
import { Seeded } from '../support/seeded.ts'
import { type CrashPoint, CrashPoints } from './crash-points.ts'
import { ForgetfulMachine, NOTHING } from './forgetful-machine.ts'
import { type KnownHost, MetadataScript } from './metadata-script.ts'
import { DRIVES, drivePath, makeCluster, type Running, start, stop } from './metadata-world.ts'
import { judgeRows, readAll } from './recorded-log.ts'
import type { SequenceResult } from './sequences.ts'
import { byLoadedCoins } from './survivals.ts'

export interface MetadataSequenceOptions {
  steps: number
  /** All survivals at every operation. */
  dense: boolean
  /** Of the crashes found so, one in so many is looked at. */
  stride: number
  /** Makes the machine of the run another one: a test of this test gives it a careless disk. */
  prepare?: (machine: ForgetfulMachine) => void
}

const FAULTS_MAX = 5

/** Runs the sequence of a seed and looks at its crashes. */
export async function runMetadataSequence(
  seed: number,
  options: MetadataSequenceOptions,
): Promise<SequenceResult> {
  const points = await collectPoints(seed, options)
  const result: SequenceResult = { crashes: 0, faults: [] }
  for (const point of points) {
    if (result.faults.length >= FAULTS_MAX) break
    const faults = await lookAt(point, result).catch((error) => [String(error?.stack ?? error)])
    result.faults.push(...faults.map((fault) => `${point.at}: ${fault}`))
  }
  return result
}

async function collectPoints(
  seed: number,
  { steps, dense, stride, prepare }: MetadataSequenceOptions,
): Promise<CrashPoint<KnownHost>[]> {
  const machine = new ForgetfulMachine(seed, { disk: { isThrough: seed % 2 === 0 } })
  await makeCluster(machine)
  prepare?.(machine)
  const script = new MetadataScript(machine, seed)
  const plan = { seed, dense, stride: dense ? 1 : stride, known: () => script.known }
  const points = new CrashPoints(machine, plan)
  await script.open()
  for (let step = 0; step < steps; step += 1) points.pause(`after ${await script.step()}`)
  await script.close()
  points.pause('closed')
  points.stop()
  return points.points
}

async function lookAt(
  { machine, known, seed }: CrashPoint<KnownHost>,
  result: SequenceResult,
): Promise<string[]> {
  const seeded = new Seeded(seed * 31)
  for (let warm = 0; warm < 4; warm += 1) seeded.below(2)
  const harm = await harmDrives(machine, known, seeded)
  const faults: string[] = []
  if (seeded.below(4) === 0) {
    // The power goes off again while the host recovers: what it found then must be found again.
    const again = await crashWhileRecovering(machine, seeded)
    faults.push(...(await findFaults(await start(again), known)).map((fault) => `again: ${fault}`))
    result.crashes += 1
    if (faults.length === 0) faults.push(...(await goOn(again, known, seeded)))
  } else {
    faults.push(...(await findFaults(await start(machine), known)))
    if (faults.length === 0) faults.push(...(await goOn(machine, known, seeded)))
  }
  result.crashes += 2
  return faults.map((fault) => `${harm}: ${fault}`)
}

/** Loses drives, and LevelDBs of others, so that one whole copy is left. */
async function harmDrives(
  machine: ForgetfulMachine,
  { copies }: KnownHost,
  seeded: Seeded,
): Promise<string> {
  const done: string[] = []
  const drives = [1, 2, 3, 4].slice(0, DRIVES)
  for (let count = seeded.below(copies); count > 0; count -= 1) {
    const [drive] = drives.splice(seeded.below(drives.length), 1)
    done.push(`${await harm(machine, drivePath(drive!), seeded)} of ${drive}`)
  }
  return done.join(', ') || 'drives whole'
}

async function harm(machine: ForgetfulMachine, path: string, seeded: Seeded): Promise<string> {
  switch (seeded.below(3)) {
    case 0:
      await machine.disk.removeTree(path)
      return 'all'
    case 1:
      machine.levels.clear(`${path}/meta.db`)
      return 'rows'
    default:
      await machine.levels.rot(
        `${path}/meta.db`,
        () => seeded.below(8) === 0,
        (value) => {
          if (value.length > 0) value[seeded.below(value.length)]! ^= 1
        },
      )
      return 'one row'
  }
}

/** What the power leaves when it goes off in the recovery. */
async function crashWhileRecovering(
  machine: ForgetfulMachine,
  seeded: Seeded,
): Promise<ForgetfulMachine> {
  const plan = { seed: seeded.below(1e6), dense: false, known: () => undefined, stride: 3 }
  const points = new CrashPoints(machine, plan)
  const running = await start(machine)
  points.stop()
  await stop(running)
  const { machine: left } = seeded.pick(points.points)
  return left
}

/** Compares all partitions. What was found is from now on what must be there. */
async function findFaults({ host }: Running, known: KnownHost): Promise<string[]> {
  const faults: string[] = []
  for (const [id, rows] of known.partitions.entries()) {
    const judged = judgeRows(await readAll(host.partitionLog(id)), rows)
    if (typeof judged === 'string') faults.push(`partition ${id}: ${judged}`)
    else known.partitions[id] = judged
  }
  return faults
}

/** Forward progress: after another power loss it is the same still, takes commands, mends, and keeps those as well. */
async function goOn(
  machine: ForgetfulMachine,
  known: KnownHost,
  seeded: Seeded,
): Promise<string[]> {
  const second = machine.crash(NOTHING, 3)
  const running = await start(second)
  const faults = await findFaults(running, known)
  const script = new MetadataScript(second, seeded.below(1e6), known)
  await script.open(running)
  for (let step = 0; step < 2; step += 1) await script.step()
  const third = await start(second.crash(byLoadedCoins(seeded.below(1e6)), 4))
  faults.push(...(await findFaults(third, script.known)))
  return faults.map((fault) => `later: ${fault}`)
}
