// Drives are added, replaced, drained and removed, and the power goes off at every operation of the disks on the way.
// After each start the map is the one before or the one after, every object is there, and the command given again
// comes to its end. STRIDE=1 takes every operation, SEED=… replays; .ci/run takes one in a few, another few each time.
import t, { type Test } from 'tap'
import { prepareDigests } from '../../src/digest/prepare.ts'
import type { DriveCommands } from '../../src/embedded/drive-commands.ts'
import type { DriveOutcome } from '../../src/gateway/admin-api.ts'
import type { ClusterMap } from '../../src/placement/cluster-map.ts'
import { audit } from '../sim/audit.ts'
import { type Cruelty, EVERYTHING, NOTHING, SimMachine } from '../sim/machine.ts'
import { SimDrive } from '../sim/sim-drive.ts'
import { type Serving, SimStore } from '../sim/store.ts'
import { SimTime } from '../sim/time.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { bodyOf, collect } from '../unit/objects/memory-store.ts'
import { byLoadedCoins } from './survivals.ts'

const SHAPE = { drives: 4, code: { dataCount: 2, parityCount: 1 }, garbageGraceMs: 500 }

/** No command takes so many operations: an enumeration that goes so far is stuck. */
const OPERATIONS_MAX = 5_000
const DEADLINE_MS = 3_600_000

/** None, in its row, copied, striped. */
const SIZES = [0, 100, 9_000, 60_000, 300_000]
const contents = new Map(SIZES.map((bytes) => [`k${bytes}`, new Seeded(bytes + 1).bytes(bytes)]))

const seed = seedOfRun()
const stride = Number(process.env.STRIDE ?? 16)
t.comment(`SEED=${seed} STRIDE=${stride}`)

/** Of what follows from a command so many points are taken, within so many operations. */
const LATER_POINTS = Math.ceil(96 / stride)
const LATER_OPERATIONS = 2_500

/** A machine whose store is killed and started again. */
class Life {
  readonly time = new SimTime()
  readonly troubles: string[] = []
  readonly machine: SimMachine
  readonly store: SimStore
  readonly #random: Seeded

  constructor(drives: readonly SimDrive[], number: number) {
    this.#random = new Seeded(number + 1)
    this.machine = new SimMachine(number, {
      time: this.time,
      drives: drives.map((drive) => drive.copy()),
      latencies: { usual: 0.1, sync: 2, slowOneIn: 50 },
      say: () => {},
    })
    const complain = (trouble: string): void => void this.troubles.push(trouble)
    this.store = new SimStore(this.machine, SHAPE, complain)
  }

  get drives(): SimDrive[] {
    return this.machine.drives.map((drive) => drive.copy())
  }

  /** What is wrong in the end; throws what it throws. */
  async live(work: () => Promise<void>): Promise<string[]> {
    await this.time.drive(work(), DEADLINE_MS)
    return this.troubles
  }

  async start(): Promise<Serving> {
    const serving = await this.store.start()
    if (serving === undefined) throw new Error('the start was cut off')
    return serving
  }

  /** Undefined when the power went off after so many more operations. */
  async cutOff<T>(operations: number, work: Promise<T>): Promise<T | undefined> {
    const burnt = new Promise<undefined>((resolve) => {
      this.machine.onFuse = () => {
        this.store.end()
        resolve(undefined)
      }
    })
    this.machine.burnFuse(operations)
    const outcome = await Promise.race([work, burnt])
    this.machine.burnFuse(Number.POSITIVE_INFINITY)
    return outcome
  }

  async crash(cruelty: Cruelty): Promise<void> {
    await this.machine.crash(cruelty, this.#random)
  }

  async readAll(when: string): Promise<void> {
    const { objects } = await this.store.served()
    const { bucket } = await objects.createBucket('bucket', 'us-east-1')
    for (const [key, bytes] of contents) {
      const found = await objects.find(bucket, key)
      const range = { first: 0, last: bytes.length - 1 }
      const read =
        found.kind === 'found'
          ? await collect(found.object.read(range, new AbortController()))
          : undefined
      if (!read?.equals(bytes)) this.troubles.push(`${when}: ${key} is ${read?.length ?? 'gone'}`)
    }
  }

  /** Until all shards are where the table wants them and what is to leave is vacated. */
  async settle(): Promise<void> {
    const { storage, process } = await this.store.served()
    for (let round = 0; round < 600 && process.isAlive; round += 1) {
      const { moves, queued } = storage.healer.progress()
      const left = storage.coordinator.state.map.drives.filter((drive) => drive.isLeaving)
      const isStill = moves.phase === 'idle' && moves.remainingShards === 0 && queued === 0
      if (isStill && left.every(({ isVacated }) => isVacated)) return
      await this.time.sleep(500)
    }
    if (!process.isAlive) return
    this.troubles.push(`it does not settle: ${JSON.stringify(storage.healer.progress())}`)
  }
}

/** A command, the drives that it begins from, and what it says when it was carried out before. */
interface Scene {
  name: string
  drives: readonly SimDrive[]
  give(commands: DriveCommands): Promise<DriveOutcome>
  again: RegExp
}

/** By their directories: a command that was cut off may have used up a number. */
function describe({ drives }: ClusterMap): string {
  const words = drives.map(({ path, state, isLeaving }) => `${path} ${state} ${isLeaving ?? ''}`)
  return words.sort().join(', ')
}

function mapOf({ storage }: Serving): ClusterMap {
  return storage.coordinator.state.map
}

/** What the map says before and after, when nothing goes wrong. */
async function lookAhead(scene: Scene): Promise<{ before: string; after: string }> {
  const life = new Life(scene.drives, 0)
  let [before, after] = ['', '']
  const troubles = await life.live(async () => {
    const serving = await life.start()
    before = describe(mapOf(serving))
    const outcome = await scene.give(serving.storage.commands)
    if (outcome.kind !== 'done') throw new Error(outcome.sentence)
    after = describe(mapOf(serving))
  })
  if (troubles.length > 0) throw new Error(troubles.join('; '))
  return { before, after }
}

/** False when the command was over before the power went off, which is then in the moves that follow or after them. */
async function enact(
  t: Test,
  scene: Scene,
  maps: { before: string; after: string },
  { operations, cruelty }: { operations: number; cruelty: Cruelty },
): Promise<boolean> {
  const life = new Life(scene.drives, operations)
  let isAnswered = false
  const troubles = await life.live(async () => {
    const begun = await life.start()
    const work = async (): Promise<void> => {
      await scene.give(begun.storage.commands)
      isAnswered = begun.process.isAlive
      await life.settle()
    }
    await life.cutOff(operations, work())
    life.store.end()
    await life.crash(cruelty)
    const serving = await life.start()
    const found = describe(mapOf(serving))
    const isAfter = found === maps.after
    // What was answered holds.
    if (!isAfter && (found !== maps.before || isAnswered)) life.troubles.push(`the map is ${found}`)
    await life.readAll('after the start')
    const given = await scene.give(serving.storage.commands)
    const isRight = given.kind === 'done' || (isAfter && scene.again.test(given.sentence))
    if (!isRight) life.troubles.push(`given again: ${JSON.stringify(given)}`)
    if (describe(mapOf(serving)) !== maps.after)
      life.troubles.push(`in the end the map is ${describe(mapOf(serving))}`)
    await life.settle()
    await life.readAll('in the end')
    await audit(serving, (trouble) => life.troubles.push(trouble))
    await life.store.stop()
    await life.start()
    await life.readAll('after another start')
  })
  if (troubles.length > 0) t.fail(`${scene.name}, cut off after ${operations}`, { troubles })
  return !isAnswered
}

/** One way to lose power at each point, and all of them over the points. */
function crueltyAt(operations: number): Cruelty {
  const coins = { underWay: 50, survives: byLoadedCoins(seed + operations) }
  return [NOTHING, coins, EVERYTHING][Math.floor(operations / stride) % 3]!
}

async function enumerate(t: Test, scene: Scene): Promise<void> {
  const maps = await lookAhead(scene)
  let points = 0
  for (let operations = seed % stride; operations < OPERATIONS_MAX; operations += stride) {
    points += 1
    const cruelty = crueltyAt(operations)
    if (await enact(t, scene, maps, { operations, cruelty })) continue
    t.ok(points > 1, `${scene.name}: power off at ${points} points of ${operations} operations`)
    const random = new Seeded(seed)
    for (let point = 0; point < LATER_POINTS; point += 1) {
      const later = operations + random.below(LATER_OPERATIONS)
      await enact(t, scene, maps, { operations: later, cruelty: crueltyAt(later) })
    }
    return
  }
  t.fail(`${scene.name} does not end`)
}

/** A store of four drives with objects, a fifth one beside; the same with five; and with one of them vacated. */
async function prepareStores(): Promise<Record<'four' | 'five' | 'vacated', SimDrive[]>> {
  await prepareDigests()
  const empty = Array.from({ length: 5 }, (_, index) => new SimDrive(index + 1))
  for (const drive of empty) await drive.mount()
  const stores: SimDrive[][] = []
  const life = new Life(empty, 1)
  const keep = async (work: (serving: Serving) => Promise<unknown>): Promise<void> => {
    await work(await life.start())
    await life.settle()
    await life.store.stop()
    stores.push(life.drives)
  }
  const troubles = await life.live(async () => {
    await keep(fill)
    await keep(({ storage }) => storage.commands.add({ path: '/d5' }))
    await keep(({ storage }) => storage.commands.drain(drainOf(2)))
  })
  if (troubles.length > 0) throw new Error(troubles.join('; '))
  return { four: stores[0]!, five: stores[1]!, vacated: stores[2]! }
}

function drainOf(driveId: number) {
  return { driveId, isCancelled: false, reEncode: false }
}

async function fill({ objects }: Serving): Promise<void> {
  const { bucket } = await objects.createBucket('bucket', 'us-east-1')
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
  const { signal } = new AbortController()
  for (const [key, bytes] of contents) {
    const put = { bucket, key, attributes, conditions: {}, body: bodyOf(bytes), signal }
    await objects.put(put)
  }
}

const { four, five, vacated } = await prepareStores()
const withoutSecond = four.map((drive) => drive.copy())
await withoutSecond[1]!.vanish()
await withoutSecond[1]!.mount()

const scenes: Scene[] = [
  {
    name: 'add',
    drives: four,
    give: (commands) => commands.add({ path: '/d5' }),
    again: /and in use/,
  },
  {
    name: 'replace',
    drives: four,
    give: (commands) => commands.replace({ driveId: 2, path: '/d5' }),
    again: /is being emptied already/,
  },
  {
    name: 'replace what is lost',
    drives: withoutSecond,
    give: (commands) => commands.replace({ driveId: 2, path: '/d5' }),
    again: /is being emptied already/,
  },
  {
    name: 'drain',
    drives: five,
    give: (commands) => commands.drain(drainOf(2)),
    again: /never/,
  },
  {
    name: 'remove',
    drives: vacated,
    give: (commands) => commands.remove(2),
    again: /there is no drive 2/,
  },
]

for (const scene of scenes)
  t.test(scene.name, { timeout: 1_800_000 }, async (t) => await enumerate(t, scene))
