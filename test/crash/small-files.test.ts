// Files that the store writes once and whole: markers of drives, decisions of the coordinator, the root key, wrapping
// keys. The power goes off at every operation, in every way: each is found as it was before or after, never in between.
import { dirname } from 'node:path'
import { prepareDigests } from '../../src/digest/prepare.ts'
import { addKey, readKeyFile } from '../../src/encryption/key-file.ts'
import { silentLog } from '../../src/kit/log.ts'
import type { World } from '../../src/kit/world.ts'
import { FileCoordinator } from '../../src/placement/coordinator-file.ts'
import { chooseState, readHistory } from '../../src/placement/coordinator-history.ts'
import { newMetaPartitions } from '../../src/placement/coordinator-replicas.ts'
import { Drive } from '../../src/storage-node/drive.ts'
import { DRIVE_FORMAT, formatDrive, inspectDrive } from '../../src/storage-node/drive-format.ts'
import {
  keepCredentials,
  ROOT_CREDENTIALS_FILE,
  scrubCredentials,
} from '../../src/storage-node/root-credentials.ts'
import { type Carelessness, carelessWorld } from './careless-disk.ts'
import { CrashPoints } from './crash-points.ts'
import { ForgetfulMachine, NOTHING } from './forgetful-machine.ts'

/** One kind of file. `tell` notes what is known from now on. */
interface Subject<Known> {
  before: Known
  prepare(machine: ForgetfulMachine): Promise<void>
  act(machine: ForgetfulMachine, world: World, tell: (known: Known) => void): Promise<void>
  /** What is wrong after a crash. */
  judge(machine: ForgetfulMachine, known: Known): Promise<string | undefined>
}

async function crashEverywhere<Known>(
  subject: Subject<Known>,
  worldOf: (machine: ForgetfulMachine) => World = ({ world }) => world,
): Promise<string[]> {
  const machine = new ForgetfulMachine(1)
  await subject.prepare(machine)
  let known = subject.before
  const points = new CrashPoints(machine, { seed: 1, dense: true, known: () => known })
  await subject.act(machine, worldOf(machine), (now) => {
    known = now
    points.pause(`known: ${JSON.stringify(now)}`)
  })
  points.stop()
  const faults: string[] = []
  for (const point of points.points) {
    const fault = await subject
      .judge(point.machine, point.known)
      .catch((error) => String(error.stack))
    if (fault !== undefined) faults.push(`${point.at}: ${fault}`)
  }
  return faults
}

const DRIVES = [1, 2, 3]

function pathOf(id: number): string {
  return `/drive${id}`
}

function markerOf(id: number) {
  return { format: DRIVE_FORMAT, clusterId: 'test', driveId: id, uuid: `u${id}`, createdMs: 1 }
}

async function makeDirectories({ disk }: ForgetfulMachine, paths: readonly string[]) {
  for (const path of paths) await disk.makeDirectory(path)
  await disk.syncDirectory('/')
}

async function makeDrives(machine: ForgetfulMachine): Promise<void> {
  await makeDirectories(machine, DRIVES.map(pathOf))
  for (const id of DRIVES) await formatDrive(machine.world, pathOf(id), markerOf(id))
}

async function openDrive({ world, levels }: ForgetfulMachine, id: number): Promise<Drive> {
  return await Drive.open(world, pathOf(id), markerOf(id), { openLevel: levels.openLevel })
}

/** A directory becomes a drive, or is empty still and can become one. */
const format: Subject<'trying' | 'formatted'> = {
  before: 'trying',
  prepare: (machine) => makeDirectories(machine, [pathOf(1)]),
  act: async (_machine, world, tell) => {
    await formatDrive(world, pathOf(1), markerOf(1))
    tell('formatted')
  },
  judge: async (machine, known) => {
    const { world } = machine
    const found = await inspectDrive(world, pathOf(1))
    if (known === 'trying' && found.kind === 'empty') {
      await formatDrive(world, pathOf(1), markerOf(1))
    } else if (found.kind !== 'formatted') return `a drive that is ${known} is ${found.kind}`
    const after = machine.crash(NOTHING, 2)
    const again = await inspectDrive(after.world, pathOf(1))
    if (again.kind !== 'formatted') return `then it is ${again.kind}`
    await (await openDrive(after, 1)).close()
    return undefined
  },
}

/** A rotten marker is written anew, and never missing meanwhile. */
const mendMarker: Subject<'rotten' | 'mended'> = {
  before: 'rotten',
  prepare: makeDrives,
  act: async (machine, world, tell) => {
    const { levels, disk } = machine
    const { openLevel } = levels
    const drive = await Drive.open(world, pathOf(1), markerOf(1), { openLevel })
    disk.flip(`${pathOf(1)}/format.json`, 20)
    await drive.mendMarker()
    tell('mended')
    await drive.close()
  },
  judge: async ({ world }, known) => {
    const { kind } = await inspectDrive(world, pathOf(1))
    const allowed = known === 'mended' ? ['formatted'] : ['formatted', 'broken', 'wrong-format']
    return allowed.includes(kind) ? undefined : `a ${known} marker is ${kind}`
  },
}

/** Decisions by their nextBucketId: what was decided, and what may have been. */
interface Decided {
  decided: number
  trying: number
}

const decisions: Subject<Decided> = {
  before: { decided: 0, trying: 0 },
  prepare: makeDrives,
  act: async (machine, world, tell) => {
    const drives = await Promise.all(DRIVES.map((id) => openDrive(machine, id)))
    tell({ decided: 0, trying: 1 })
    const coordinator = await FileCoordinator.create(firstState(machine), { world, drives })
    tell({ decided: 1, trying: 1 })
    for (let next = 2; next < 9; next += 1) {
      tell({ decided: next - 1, trying: next })
      await coordinator.decide((state) => ({ ...state, nextBucketId: next }))
      tell({ decided: next, trying: next })
    }
    await coordinator.close()
    for (const drive of drives) await drive.close()
  },
  judge: async (machine, known) => {
    const found = await decidedOn(machine, DRIVES)
    if (found === undefined) return known.decided === 0 ? undefined : 'all is forgotten'
    // Every drive holds what was decided, so any one of them tells it when it is alone.
    const alone = await Promise.all(DRIVES.map((id) => decidedOn(machine, [id])))
    for (const number of [found, ...alone]) {
      if (number === undefined && known.decided === 0) continue
      if (number === undefined || number < known.decided || number > known.trying) {
        return `decided ${known.decided}, perhaps ${known.trying}, found ${found}, alone ${alone}`
      }
    }
    return await decideAgain(machine, found)
  },
}

function firstState(machine: ForgetfulMachine) {
  const drives = DRIVES.map((id) => ({ id, uuid: `u${id}`, weight: 1, state: 'active' as const }))
  const code = { dataCount: 2, parityCount: 1, matrix: 1 as const }
  const map = { drives, code, partitionCount: 4, metaPartitionCount: 1, slots: [], seed: '1' }
  const metaPartitions = newMetaPartitions(map, 2, machine.world.random)
  const numbers = { epoch: 1, nextBucketId: 1, nextDriveId: 4 }
  return { clusterId: 'test', map, metaPartitions, buckets: {}, ...numbers }
}

async function chosenOn({ world }: ForgetfulMachine, ids: readonly number[]) {
  const histories = new Map()
  for (const id of ids) histories.set(id, await readHistory(world, pathOf(id)))
  return chooseState(histories)
}

/** The number that the drives agree on; undefined when they know of no decision. */
async function decidedOn(
  machine: ForgetfulMachine,
  ids: readonly number[],
): Promise<number | undefined> {
  const choice = await chosenOn(machine, ids)
  if (choice.kind === 'forked') throw new Error('the drives disagree')
  return choice.kind === 'none' ? undefined : choice.decision.state.nextBucketId
}

/** What was found is found after the next power loss too, and the next decision is made on top of it. */
async function decideAgain(machine: ForgetfulMachine, found: number): Promise<string | undefined> {
  const choice = await chosenOn(machine, DRIVES)
  if (choice.kind !== 'chosen') return `the drives know ${choice.kind}`
  const drives = await Promise.all(DRIVES.map((id) => openDrive(machine, id)))
  const coordinator = await FileCoordinator.open(choice.decision, { world: machine.world, drives })
  const settled = await decidedOn(machine.crash(NOTHING, 2), DRIVES)
  if (settled !== found) return `first ${found}, then ${settled}`
  await coordinator.decide((state) => ({ ...state, nextBucketId: 77 }))
  const last = await decidedOn(machine.crash(NOTHING, 2), [2])
  return last === 77 ? undefined : `decided 77 and found ${last}`
}

const ROOT_KEY = { accessKeyId: 'AKIATEST', secretAccessKey: 'geheim' }

/** The root key on a drive: whole or not there, and written again at the next start. */
const rootKey: Subject<'missing' | 'kept' | 'rotten'> = {
  before: 'missing',
  prepare: makeDrives,
  act: async (machine, world, tell) => {
    const drive = await openDrive(machine, 1)
    await keepCredentials([drive], ROOT_KEY, { world, log: silentLog })
    tell('kept')
    machine.disk.flip(`${pathOf(1)}/${ROOT_CREDENTIALS_FILE}`, 12)
    tell('rotten')
    await scrubCredentials([drive], ROOT_KEY, { world })
    tell('kept')
    await drive.close()
  },
  judge: async (machine, known) => {
    const path = `${pathOf(1)}/${ROOT_CREDENTIALS_FILE}`
    const there = (await machine.disk.stat(path)) !== undefined
    if (!there && known !== 'missing') return `a key that was ${known} is gone`
    const whole = there && Buffer.from(machine.disk.bytesOf(path)).includes('= AKIATEST\n')
    if (there && !whole && known !== 'rotten') return `a key that was ${known} is half there`
    const drive = await openDrive(machine, 1)
    await keepCredentials([drive], ROOT_KEY, { world: machine.world, log: silentLog })
    const after = machine.crash(NOTHING, 2)
    return Buffer.from(after.disk.bytesOf(path)).includes('= geheim\n') ? undefined : 'it is lost'
  },
}

const KEYS = '/etc/keys'

/** Wrapping keys: none that was told of is ever lost, whatever becomes of the next one. */
const wrappingKeys: Subject<string[]> = {
  before: [],
  prepare: (machine) => makeDirectories(machine, [dirname(KEYS)]),
  act: async (_machine, world, tell) => {
    const ids: string[] = []
    for (let count = 0; count < 3; count += 1) {
      ids.push(await addKey(KEYS, world))
      tell([...ids])
    }
  },
  judge: async ({ world, disk }, known) => {
    const there = (await disk.stat(KEYS)) !== undefined
    if (!there) return known.length === 0 ? undefined : 'all keys are gone'
    const found = (await readKeyFile(KEYS, world)).map(({ id }) => id)
    const lost = known.filter((id) => !found.includes(id))
    return lost.length === 0 ? undefined : `lost ${lost}`
  },
}

const SUBJECTS = { format, mendMarker, decisions, rootKey, wrappingKeys }

await prepareDigests()
const found = new Map<string, string[]>()
for (const [name, subject] of Object.entries(SUBJECTS)) {
  found.set(name, await crashEverywhere(subject as Subject<unknown>))
}

// The tests are tested: without their syncs these files are lost or half there.
const CARELESS: readonly Carelessness[] = ['files are not synced', 'directories are not synced']
const missed: string[] = []
for (const how of CARELESS) {
  for (const [name, subject] of Object.entries(SUBJECTS)) {
    const careless = (machine: ForgetfulMachine): World => carelessWorld(machine, how)
    const faults = await crashEverywhere(subject as Subject<unknown>, careless)
    if (faults.length === 0) missed.push(`${name}: ${how}`)
  }
}

// Only now: tap follows every promise from the moment it is imported.
const { default: t } = await import('tap')
for (const [name, faults] of found) t.same(faults.slice(0, 5), [], `${name}, power off everywhere`)
t.same(missed, [], 'careless disks are found out')
