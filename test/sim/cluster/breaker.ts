// The one who breaks a simulated cluster: processes, power, clocks, the network, etcd, drives, and who runs it changes the map
// meanwhile. All is mended in the end.
import type { Seeded } from '../../support/seeded.ts'
import type { Serving } from '../clients.ts'
import { type Cruelty, EVERYTHING, NOTHING } from '../machine.ts'
import { pickBy } from '../randoms.ts'
import { Harm } from './harm.ts'
import type { SimGateway, SimNode } from './members.ts'
import { CALM } from './network.ts'
import { Operator } from './operator.ts'
import { epochOfBackup, restoreFromMembers } from './restore.ts'
import { type ClusterWorld, servingOf } from './world.ts'

/** What breaks, and how often beside the others. */
const WEIGHTS = {
  kill: 4,
  power: 3,
  blackout: 1,
  answer: 3,
  gateway: 1,
  pause: 2,
  stall: 1,
  cut: 2,
  'one-way': 3,
  isolate: 2,
  usurp: 4,
  weather: 3,
  etcd: 2,
  silence: 1,
  leases: 1,
  restored: 2,
  map: 4,
  drive: 4,
}

/** Another node leads by then. */
const USURPED_WITHIN_MS = 12_000

type Trouble = keyof typeof WEIGHTS

/** Breaks and mends. */
export class Breaker {
  readonly counts = { troubles: 0 }
  isOver = false
  readonly harm: Harm
  readonly operator: Operator
  /** Clients write through one gateway and read through another, which was not told who leads. */
  duel: (between: { deaf: Serving; hearing: Serving }) => Promise<void> = async () => {}
  readonly #world: ClusterWorld
  readonly #random: Seeded
  readonly #say: (line: string) => void
  /** The power of all nodes goes off at the answer after so many more; 0: it does not. */
  #answersLeft = 0
  /** etcd came back from a backup at any time. */
  hasLostEtcd = false
  /** It did, and is not believed. */
  #isRestored = false
  readonly #weights: typeof WEIGHTS

  constructor(world: ClusterWorld, random: Seeded, say: (line: string) => void) {
    this.#world = world
    this.#random = random
    this.#say = say
    // What is rare elsewhere is common in some.
    this.#weights = { ...WEIGHTS, map: random.pick([4, 8, 40]), drive: random.pick([0, 4, 12, 40]) }
    if (world.shape.narrows) this.#weights.map = 40
    this.harm = new Harm(world, random, say)
    this.operator = new Operator(world, random, say)
  }

  /** A client was told that its write is done. */
  answered(): void {
    if (this.#answersLeft === 0) return
    this.#answersLeft -= 1
    if (this.#answersLeft === 0) void this.#blackout(() => NOTHING)
  }

  /** Breaks `count` things, one after the other, with at most `pauseMs` between them; some last while the next ones come. */
  async run(count: number, pauseMs: number): Promise<void> {
    for (let number = 0; number < count && !this.isOver; number += 1) {
      await this.#world.time.sleep(this.#random.below(pauseMs))
      if (this.isOver) return
      this.counts.troubles += 1
      await this.#one(pickBy(this.#random, this.#weights))
    }
  }

  /** Ends all trouble. */
  async mend(): Promise<void> {
    const { network, etcd, etcdWays, members } = this.#world
    this.#say('everything is mended')
    this.isOver = true
    this.#answersLeft = 0
    network.mend()
    network.weather = CALM
    etcd.mood = 'well'
    etcd.isSilent = false
    etcdWays.mend()
    await this.#restoreCoordinator()
    for (const node of this.harm.mend()) await node.kill(EVERYTHING)
    for (const member of members) {
      member.machine.pausedUntilMs = 0
      for (const drive of member.machine.drives) drive.stalledUntilMs = 0
      member.start()
    }
  }

  async #one(trouble: Trouble): Promise<void> {
    const { nodes, gateways, network, etcd, etcdWays, members, time } = this.#world
    const random = this.#random
    const node = this.#victim()
    const other = random.pick(members)
    this.#say(`trouble: ${trouble} ${node.name} ${other.name}`)
    switch (trouble) {
      case 'kill':
        await node.kill(EVERYTHING)
        return this.#startLater(node)
      case 'power':
        await node.kill(crueltyOf(random))
        return this.#startLater(node)
      case 'blackout':
        return await this.#blackout(() => crueltyOf(random))
      case 'answer':
        // Whatever is not durable when a client hears of it is lost.
        this.#answersLeft = 1 + random.below(8)
        return
      case 'gateway': {
        const gateway = random.pick(gateways)
        await gateway.kill(EVERYTHING)
        return this.#startLater(gateway)
      }
      case 'pause':
        other.machine.pausedUntilMs = time.nowMs + random.pick([800, 5_000, 15_000])
        return
      case 'stall':
        for (const drive of node.drives)
          drive.stalledUntilMs = time.nowMs + random.pick([500, 3_000, 12_000])
        return
      case 'cut':
        this.#cutBoth(node.name, other.name)
        return this.#mendLater()
      case 'one-way':
        // What only one of two hears is what most rules of replication are for.
        network.cut(node.name, other.name)
        if (random.below(2) === 0)
          for (const third of nodes) if (third !== node) network.cut(node.name, third.name)
        return this.#mendLater()
      case 'isolate':
        for (const each of members) if (each !== node) this.#cutBoth(node.name, each.name)
        if (random.below(2) === 0) etcdWays.cut(node.name)
        return this.#mendLater()
      case 'usurp':
        await this.#usurp(node)
        return this.#mendLater()
      case 'weather':
        network.weather = {
          lost: random.pick([0, 5, 50]),
          broken: random.pick([0, 5, 50]),
          repeated: random.pick([0, 20, 200]),
          slow: random.pick([0, 20, 200]),
        }
        return
      case 'etcd':
        etcd.mood = random.pick(['away', 'losing answers'] as const)
        if (etcd.mood === 'away') etcd.breakWatches()
        return time.after(random.below(20_000), () => {
          etcd.mood = 'well'
        })
      case 'silence':
        etcd.isSilent = true
        return time.after(random.below(10_000), () => {
          etcd.isSilent = false
        })
      case 'leases':
        return etcd.expireAll()
      case 'restored':
        return await this.#restoreEtcd()
      case 'map':
        return await this.operator.command({
          isRestored: this.#isRestored,
          hasLost: this.harm.hasLost,
        })
      case 'drive':
        return await this.harm.one()
    }
  }

  /** All nodes at the same moment. */
  async #blackout(cruelty: () => Cruelty): Promise<void> {
    const { nodes } = this.#world
    this.#say('the power goes off everywhere')
    await Promise.all(nodes.map((node) => node.kill(cruelty())))
    const together = this.#random.below(4_000)
    for (const node of nodes) {
      const apart = this.#random.below(3) === 0 ? this.#random.below(8_000) : 0
      this.#world.time.after(together + apart, () => node.start())
    }
  }

  /** Who leads something is worth more trouble. */
  #victim(): SimNode {
    const { nodes } = this.#world
    const leaders = nodes.filter(({ served }) => (served?.metadata.led.list().length ?? 0) > 0)
    const mayLead = leaders.length > 0 && this.#random.below(3) > 0
    return this.#random.pick(mayLead ? leaders : nodes)
  }

  /** A node does not hear of the others, nor one gateway of who leads now: that gateway goes on asking it. */
  async #usurp(node: SimNode): Promise<void> {
    const { nodes, gateways, network, etcdWays } = this.#world
    const led = node.served?.metadata.led.list().map(({ id }) => id) ?? []
    const isHeard = this.#random.below(3) === 0
    for (const other of nodes) {
      if (other === node) continue
      network.cut(other.name, node.name)
      if (!isHeard) network.cut(node.name, other.name)
    }
    etcdWays.cut(node.name)
    const deaf = this.#random.pick(gateways)
    etcdWays.cut(deaf.name)
    await this.#fight(node, led, deaf)
  }

  /** Once another node leads what this one led. */
  async #fight(node: SimNode, led: readonly number[], deaf: SimGateway): Promise<void> {
    const { nodes, gateways, time } = this.#world
    const isUsurped = (): boolean =>
      nodes.some((other) => other !== node && led.some((id) => other.served?.metadata.led.find(id)))
    const untilMs = time.nowMs + USURPED_WITHIN_MS
    while (!isUsurped() && led.length > 0 && time.nowMs < untilMs) await time.sleep(100)
    const hearing = gateways.find((gateway) => gateway !== deaf)
    const between = { deaf: servingOf(deaf), hearing: hearing && servingOf(hearing) }
    if (!isUsurped() || between.deaf === undefined || between.hearing === undefined) return
    this.#say(`${node.name} is usurped`)
    const { deaf: left, hearing: right } = between
    await Promise.race([this.duel({ deaf: left, hearing: right }), time.sleep(10_000)])
  }

  /** etcd is lost and comes back from a backup: nobody believes it until an operator says what is to be in it. */
  async #restoreEtcd(): Promise<void> {
    const { etcd, time } = this.#world
    if (this.#isRestored) return
    const backup = etcd.backup()
    // There has to be something that the backup does not know.
    await this.operator.command({ isRestored: true, hasLost: this.harm.hasLost })
    await time.sleep(this.#random.below(6_000))
    this.#world.witness.rewind(epochOfBackup(backup))
    etcd.restore(backup, this.#random.pick([undefined, '77']))
    this.#isRestored = true
    this.hasLostEtcd = true
    time.after(this.#random.below(8_000), () => void this.#restoreCoordinator())
  }

  async #restoreCoordinator(): Promise<void> {
    const world = this.#world
    if (!this.#isRestored || world.etcd.mood !== 'well') return
    this.#isRestored = false
    this.#say(await restoreFromMembers(world))
  }

  #cutBoth(left: string, right: string): void {
    this.#world.network.cut(left, right)
    this.#world.network.cut(right, left)
  }

  #startLater(member: { start(): void }): void {
    const ms = this.#random.below(this.#random.pick([500, 12_000, 12_000, 40_000]))
    this.#world.time.after(ms, () => member.start())
  }

  #mendLater(): void {
    this.#world.time.after(1_000 + this.#random.below(15_000), () => {
      this.#world.network.mend()
      this.#world.etcdWays.mend()
    })
  }
}

/** The worst that can be is what most rules are for. */
function crueltyOf(random: Seeded): Cruelty {
  if (random.below(2) === 0) return NOTHING
  const percent = random.pick([10, 50, 90])
  return { underWay: random.pick([0, 50, 100]), survives: () => random.below(100) < percent }
}
