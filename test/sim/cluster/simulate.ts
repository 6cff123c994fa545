// One seed of a whole cluster: clients ask while its processes, its network and its etcd break; then peace, in which
// everything becomes whole, and a look at everything.
import { createHash } from 'node:crypto'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import type { Seeded } from '../../support/seeded.ts'
import { Clients, type Mix } from '../clients.ts'
import { NOTHING } from '../machine.ts'
import { randomsFor } from '../randoms.ts'
import type { SeedResult } from '../simulate.ts'
import { SimTime } from '../time.ts'
import { auditVacated } from './blobs.ts'
import { Bounds } from './bounds.ts'
import { Breaker } from './breaker.ts'
import { drawLoss } from './loss.ts'
import { auditNamed } from './named-shards.ts'
import { awaitNoOrphans } from './no-orphans.ts'
import { awaitWhole } from './peace.ts'
import { recoverUnled } from './recovery.ts'
import { awaitVerified } from './verified-heal.ts'
import { type ClusterShape, ClusterWorld } from './world.ts'

const SHAPES: readonly Pick<ClusterShape, 'nodes' | 'code'>[] = [
  { nodes: 3, code: { dataCount: 1, parityCount: 1 } },
  { nodes: 4, code: { dataCount: 2, parityCount: 1 } },
  { nodes: 5, code: { dataCount: 2, parityCount: 1 } },
  { nodes: 5, code: { dataCount: 2, parityCount: 2 } },
  { nodes: 6, code: { dataCount: 4, parityCount: 2 } },
]

/** Each drive that leaves one of these is one too few for its code. */
const NARROW_SHAPES: readonly Pick<ClusterShape, 'nodes' | 'code'>[] = [
  { nodes: 3, code: { dataCount: 2, parityCount: 1 } },
  { nodes: 4, code: { dataCount: 2, parityCount: 2 } },
  { nodes: 5, code: { dataCount: 4, parityCount: 1 } },
  { nodes: 6, code: { dataCount: 4, parityCount: 2 } },
]

/** One of so many seeds empties drives whose loss makes everything be written anew, in a code with fewer shards. */
const SEEDS_PER_NARROWING = 5

/** One of so many seeds waits until all orphans are swept. */
const SEEDS_PER_SWEEP = 25

/** Nothing lasts longer, in virtual time. */
const DEADLINE_MS = 1_800_000

/** Runs a seed. The same seed does the same, to the byte of its log. */
export async function simulateCluster(seed: number): Promise<SeedResult> {
  await prepareDigests()
  const simulation = new Simulation(seed)
  const { time, failures, log } = simulation
  try {
    await time.drive(simulation.run(), DEADLINE_MS)
  } catch (error) {
    failures.push(`I7: it does not end: ${error instanceof Error ? error.stack : String(error)}`)
  }
  for (const failure of failures) log.push(`FAILURE ${failure}`)
  const hash = createHash('sha256').update(log.join('\n')).digest('hex')
  return { seed, failures, hash, log, counts: simulation.counts() }
}

class Simulation {
  readonly time = new SimTime()
  readonly failures: string[] = []
  readonly log: string[] = []
  readonly #seed: number
  readonly #random: Seeded
  #world: ClusterWorld | undefined
  #clients: Clients | undefined
  #breaker: Breaker | undefined
  #bounds: Bounds | undefined

  constructor(seed: number) {
    this.#seed = seed
    this.#random = randomsFor(seed, 'cluster')
  }

  counts(): Record<string, number> {
    const machines = this.#world?.members ?? []
    return {
      ...this.#clients?.counts,
      ...this.#breaker?.counts,
      ...this.#breaker?.harm.counts,
      ...this.#breaker?.operator.counts,
      ...this.#world?.network.counts,
      ...this.#bounds?.most,
      reigns: this.#world?.witness.reigns ?? 0,
      operations: machines.reduce((sum, { machine }) => sum + machine.operations, 0),
      events: this.time.ticks,
      virtualMs: Math.round(this.time.nowMs),
    }
  }

  async run(): Promise<void> {
    const random = this.#random
    const shape = drawShape(this.#seed, random)
    this.#say(JSON.stringify(shape))
    const parts = { time: this.time, complain: this.#complain, say: this.#say }
    const world = new ClusterWorld(this.#seed, shape, parts)
    this.#world = world
    world.witness.onVacated = (id) => void auditVacated(id, world, this.#complain)
    const clients = new Clients({
      ...{ ...parts, store: world, graceMs: shape.garbageGraceMs },
      // A gateway that can not reach enough nodes says so, whatever is on their drives.
      isFine: () => false,
      answered: () => this.#breaker?.answered(),
    })
    this.#clients = clients
    await world.begin()
    await clients.makeBuckets()
    await world.knowBuckets(2)
    this.#say('the cluster serves')
    const breaker = new Breaker(world, randomsFor(this.#seed, 'breaker'), this.#say)
    this.#breaker = breaker
    const bounds = new Bounds(world, this.#complain)
    this.#bounds = bounds
    const looking = bounds.run()
    await this.#trouble(clients, breaker)
    await breaker.mend()
    bounds.isOver = true
    await looking
    await this.#peace(world, breaker)
    if (this.failures.length > 0) return
    // It takes long: orphans have to grow old.
    if (this.#seed % SEEDS_PER_SWEEP === 0) await awaitNoOrphans(world, parts)
    await clients.readAll()
    await this.#loss(world)
    await clients.readAll()
    clients.check()
  }

  async #trouble(clients: Clients, breaker: Breaker): Promise<void> {
    const random = this.#random
    const drawn = drawMix(random)
    const mix = this.#world?.shape.narrows ? { ...drawn, striped: 40 } : drawn
    this.#say(JSON.stringify(mix))
    const count = 10 + random.below(15)
    const working = [1, 2, 3].map((number) =>
      clients.run(count, randomsFor(this.#seed, `client ${number}`), mix),
    )
    // Clients that hurry are done soon.
    breaker.duel = (between) =>
      clients.duel(between, randomsFor(this.#seed, `duel ${this.time.ticks}`), mix)
    const breaking = breaker.run(3 + random.below(6), mix.pauseMs < 200 ? 800 : 4_000)
    await Promise.all(working)
    breaker.isOver = true
    await breaking
  }

  /** Everything becomes whole by itself, but for what people have to do. */
  async #peace(world: ClusterWorld, { harm, operator, hasLostEtcd }: Breaker): Promise<void> {
    const parts = { time: this.time, complain: this.#complain, say: this.#say }
    await auditNamed(world, { ...parts, hasLost: (path) => harm.mayLack(path) })
    if (hasLostEtcd) await recoverUnled(world, parts)
    await operator.giveUpGone()
    // Otherwise some drives are emptied still when nodes are lost. What is gone for good can not be verified.
    if (harm.hasLost || this.#random.below(2) === 0) await operator.seeAllOut(this.#complain)
    if (harm.isHidden) await awaitVerified(world, parts)
    await awaitWhole(world, parts)
    await operator.releaseOrphans()
  }

  /** As many nodes as the cluster can do without are lost, and the power of all others fails: everything is there still. */
  async #loss(world: ClusterWorld): Promise<void> {
    const lost = await drawLoss(world, this.#random)
    for (const node of world.nodes) await node.kill(NOTHING)
    for (const { name } of lost) this.#say(`${name} is lost`)
    for (const node of world.nodes) if (!lost.includes(node)) node.start()
    await this.time.sleep(15_000)
  }

  readonly #say = (line: string): void => {
    this.log.push(`${this.time.nowMs.toFixed(3)} ${line}`)
  }

  readonly #complain = (trouble: string): void => {
    this.failures.push(trouble)
    this.#say(`COMPLAINT ${trouble}`)
  }
}

/** Each seed has its own mix: what is rare elsewhere is common in some. */
function drawShape(seed: number, random: Seeded): ClusterShape {
  const shape: ClusterShape = {
    ...random.pick(SHAPES),
    gateways: 2,
    metaPartitions: random.pick([1, 2]),
    drivesPerNode: random.pick([1, 1, 1, 2]),
    zones: random.pick([0, 0, 0, 3]),
    garbageGraceMs: random.pick([500, 2_000]),
    narrows: false,
  }
  const narrowing = randomsFor(seed, 'narrowing')
  if (narrowing.below(SEEDS_PER_NARROWING) > 0) return shape
  return { ...shape, ...narrowing.pick(NARROW_SHAPES), drivesPerNode: 1, narrows: true }
}

function drawMix(random: Seeded): Mix {
  const weight = (): number => random.pick([0, 1, 1, 3])
  return {
    put: 4 + weight(),
    get: 2 + weight(),
    range: weight(),
    delete: 1 + weight(),
    conditional: 2 + weight(),
    multipart: random.pick([0, 0, 1]),
    list: 1 + weight(),
    copy: random.pick([0, 0, 1]),
    version: random.pick([0, 0, 1]),
    late: 0,
    race: random.pick([0, 1]),
    striped: random.pick([0, 0, 10]),
    pauseMs: random.pick([150, 600, 1_500]),
    keys: random.pick([1, 2, 3]),
  }
}
