// One seed: a store on a simulated machine, clients, trouble; then peace, and a look at everything.
import { createHash } from 'node:crypto'
import { prepareDigests } from '../../src/digest/prepare.ts'
import type { Seeded } from '../support/seeded.ts'
import { audit, auditOrphans } from './audit.ts'
import { Breaker, type Troubles } from './breaker.ts'
import { Clients, type Mix } from './clients.ts'
import { Damage } from './damage.ts'
import { EVERYTHING, NOTHING, SimMachine } from './machine.ts'
import { randomsFor } from './randoms.ts'
import { SimDrive } from './sim-drive.ts'
import { SimStore, type StoreShape } from './store.ts'
import { SimTime } from './time.ts'

/** What became of one seed. */
export interface SeedResult {
  seed: number
  /** What went wrong; empty when all invariants held. */
  failures: string[]
  /** Of all that happened. */
  hash: string
  log: readonly string[]
  counts: Record<string, number>
}

const SHAPES = [
  { drives: 4, code: { dataCount: 2, parityCount: 1 } },
  { drives: 5, code: { dataCount: 2, parityCount: 2 } },
  { drives: 6, code: { dataCount: 2, parityCount: 2 } },
  { drives: 4, code: { dataCount: 2, parityCount: 2 } },
  { drives: 5, code: { dataCount: 3, parityCount: 1 } },
  { drives: 3, code: { dataCount: 1, parityCount: 1 } },
]

/** Nothing lasts longer, in virtual time. */
const DEADLINE_MS = 4 * 3_600_000

/** Runs a seed. The same seed does the same, to the byte of its log. */
export async function simulate(seed: number): Promise<SeedResult> {
  // Compiled by other threads, and once: not while time is ours.
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
  #clients: Clients | undefined
  #breaker: Breaker | undefined
  #machine: SimMachine | undefined

  constructor(seed: number) {
    this.#seed = seed
    this.#random = randomsFor(seed, 'shape')
  }

  counts(): Record<string, number> {
    return {
      ...this.#clients?.counts,
      ...this.#breaker?.counts,
      operations: this.#machine?.operations ?? 0,
      events: this.time.ticks,
      virtualMs: Math.round(this.time.nowMs),
    }
  }

  async run(): Promise<void> {
    const random = this.#random
    const shape: StoreShape = {
      ...random.pick(SHAPES),
      garbageGraceMs: random.pick([500, 2_000, 5_000]),
    }
    this.#say(JSON.stringify(shape))
    const drives = Array.from({ length: shape.drives }, (_, index) => new SimDrive(index + 1))
    for (const drive of drives) await drive.mount()
    const { machine, store } = this.#assemble(drives, shape, this.#seed)
    this.#machine = machine
    const parts = { time: this.time, store, complain: this.#complain, say: this.#say }
    const damage = new Damage(shape.code.parityCount)
    const isFine = (): boolean => damage.drives.length === 0 && machine.clockOffsetMs === 0
    const answered = (): void => this.#breaker?.answered()
    const clients = new Clients({ ...parts, isFine, answered, graceMs: shape.garbageGraceMs })
    this.#clients = clients
    const breaker = new Breaker({
      ...parts,
      machine,
      damage,
      look: () => clients.lookAtLast(),
      lookAtAll: () => clients.lookAtAll(),
      random: randomsFor(this.#seed, 'breaker'),
    })
    this.#breaker = breaker
    await breaker.start()
    await clients.makeBuckets()
    await this.#trouble(clients, breaker)
    await this.#peace(clients, breaker, { machine, store })
    if (this.failures.length > 0) return
    await this.#loss({ machine, store, clients, damage })
    clients.check()
  }

  /** Clients ask while things break. */
  async #trouble(clients: Clients, breaker: Breaker): Promise<void> {
    const random = this.#random
    const mix = drawMix(random)
    const troubles = drawTroubles(random)
    this.#say(`${JSON.stringify(mix)} ${JSON.stringify(troubles)}`)
    const count = 15 + random.below(30)
    const working = [1, 2, 3].map((number) =>
      clients.run(count, randomsFor(this.#seed, `client ${number}`), mix),
    )
    // Clients that hurry are done soon.
    const breaking = breaker.run(2 + random.below(8), troubles, mix.pauseMs < 100 ? 1_000 : 4_000)
    await Promise.all(working)
    breaker.isOver = true
    await breaking
    if (random.below(4) > 0) await breaker.rotAtLast()
  }

  /** Nothing breaks any more: the store gets whole, and everything is there. */
  async #peace(
    clients: Clients,
    breaker: Breaker,
    { machine, store }: { machine: SimMachine; store: SimStore },
  ): Promise<void> {
    await breaker.mend()
    if (this.failures.length > 0) return
    await clients.readAll()
    await this.time.sleep(2 * store.shape.garbageGraceMs + 12_000)
    const serving = await store.served()
    await audit(serving, this.#complain)
    // A clock that was set makes blobs seem young: they stay, rightly.
    if (machine.clockOffsetMs === 0) await auditOrphans(serving, this.time, this.#complain)
  }

  /** As many drives as the store can do without are lost on top: everything is there still. */
  async #loss(parts: {
    machine: SimMachine
    store: SimStore
    clients: Clients
    damage: Damage
  }): Promise<void> {
    const { machine, store, damage, clients } = parts
    const random = this.#random
    if (random.below(2) === 0) await store.stop()
    store.end()
    await machine.crash(random.below(4) > 0 ? NOTHING : EVERYTHING, random)
    const possible = machine.drives.filter(({ id }) => !damage.isGone(id))
    for (let lost = damage.goneCount; lost < damage.most; lost += 1) {
      const [drive] = possible.splice(random.below(possible.length), 1)
      this.#say(`drive ${drive!.id} is lost`)
      await drive!.vanish()
    }
    try {
      await store.start()
    } catch (error) {
      return this.#complain(`I1: it does not start without the lost drives: ${String(error)}`)
    }
    await clients.readAll()
    store.end()
  }

  #assemble(
    drives: SimDrive[],
    shape: StoreShape,
    seed: number,
  ): { machine: SimMachine; store: SimStore } {
    const latencies = { usual: 0.1, sync: 1 + this.#random.below(8), slowOneIn: 50 }
    const machine = new SimMachine(seed, { time: this.time, drives, latencies, say: this.#say })
    return { machine, store: new SimStore(machine, shape, this.#complain) }
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
function drawMix(random: Seeded): Mix {
  const weight = (): number => random.pick([0, 1, 1, 3, 8])
  return {
    put: 4 + weight(),
    get: 1 + weight(),
    range: weight(),
    delete: weight(),
    conditional: weight(),
    multipart: weight(),
    list: weight(),
    copy: weight(),
    version: weight(),
    late: random.pick([0, 1, 2]),
    race: random.pick([0, 0, 1]),
    striped: random.pick([0, 5, 20]),
    pauseMs: random.pick([30, 600, 600]),
    keys: random.pick([1, 3, 5, 5]),
  }
}

function drawTroubles(random: Seeded): Troubles {
  const weight = (): number => random.pick([0, 0, 0, 1, 2, 5])
  return {
    power: 1 + weight(),
    kill: weight(),
    stop: weight(),
    fuse: weight(),
    answer: 2 + weight(),
    unplug: weight(),
    vanish: weight(),
    flip: 1 + weight(),
    rot: weight(),
    lie: weight(),
    error: weight(),
    full: weight(),
    stall: weight(),
    clock: random.pick([0, 0, 1]),
    mend: weight(),
  }
}
