// One world from one seed: nodes, clients and faults for a while, then peace, in which everything must come together.
import type { Decision, ReplicaId } from '../../../src/metadata/replication/decision.ts'
import type { Limits } from '../../../src/metadata/replication/effects.ts'
import type { Seeded } from '../../support/seeded.ts'
import { Audit } from './audit.ts'
import { Clients } from './clients.ts'
import { SimulatedCoordinator } from './coordinator.ts'
import { Faults } from './faults.ts'
import { Fences } from './fences.ts'
import { Host, type HostParts } from './host.ts'
import { Network, nodeOf } from './network.ts'
import { ClusterWorld, TICK } from './world.ts'

/** What came of a seed. */
export interface Outcome {
  failures: readonly string[]
  /** Of all that happened: the same for the same seed. */
  hash: string
  log: readonly string[]
  counts: { decisions: number; entries: number; answered: number; undecided: number; end: number }
}

const TROUBLE = 80 * TICK
const PEACE = 200 * TICK

/** Runs a seed. */
export function simulateReplication(seed: number, { keepsLog = false } = {}): Outcome {
  const cluster = new Cluster(new ClusterWorld(seed, keepsLog))
  return cluster.run()
}

class Cluster {
  readonly #world: ClusterWorld
  readonly #random: Seeded
  readonly #hosts: Host[] = []
  readonly #audit: Audit
  readonly #coordinator: SimulatedCoordinator
  readonly #faults: Faults
  readonly #fences: Fences
  readonly #clients: Clients

  constructor(world: ClusterWorld) {
    this.#world = world
    this.#random = world.random('cluster')
    this.#audit = new Audit(world)
    const replicaCount = this.#random.pick([1, 3, 3, 3, 3, 3, 3, 5])
    const nodeCount = replicaCount + this.#random.below(3)
    const first = Array.from({ length: replicaCount }, (_, node) => `${node}-1` as ReplicaId)
    const decision: Decision = {
      epoch: 1,
      primary: first[0]!,
      replicas: first,
      previous: undefined,
    }
    this.#coordinator = new SimulatedCoordinator(world, { decision, wanted: first })
    const network = new Network(world, (to, from, message) =>
      this.#hosts[nodeOf(to)]?.receive(to, from, message),
    )
    const parts = {
      world,
      network,
      audit: this.#audit,
      coordinator: this.#coordinator,
      limits: limitsFor(this.#random),
      copyOf: (source: ReplicaId) => this.#copyOf(source),
    } satisfies HostParts
    for (let node = 0; node < nodeCount; node += 1) this.#hosts.push(new Host(node, parts))
    for (const id of first) this.#hosts[nodeOf(id)]!.make()
    const coordinator = this.#coordinator
    this.#faults = new Faults({ world, network, coordinator, hosts: this.#hosts, replicaCount })
    this.#fences = new Fences({ world, coordinator, hosts: this.#hosts })
    this.#clients = new Clients(world, this.#hosts)
  }

  run(): Outcome {
    this.#clients.begin(2 + this.#random.below(5))
    this.#faults.begin()
    this.#fences.begin()
    this.#world.schedule.runTo(TROUBLE)
    this.#faults.end()
    this.#fences.end()
    this.#clients.isOver = true
    this.#converge()
    this.#checkLogs()
    const undecided = this.#checkHistories()
    const { failures, hash, log, schedule } = this.#world
    const { decisions } = this.#coordinator
    const { answered } = this.#clients
    const counts = {
      ...{ decisions: decisions.length, entries: this.#audit.lastApplied },
      ...{ answered, undecided, end: schedule.now },
    }
    return { failures, hash, log, counts }
  }

  #copyOf(source: ReplicaId): ReturnType<HostParts['copyOf']> {
    const host = this.#hosts[nodeOf(source)]
    return host?.id === source && host.core && !host.isPaused ? host.rowsNow : undefined
  }

  /** Faults have stopped: in bounded time there is one primary, the wanted replicas, and an answer for everybody. */
  #converge(): void {
    const { schedule } = this.#world
    const end = schedule.now + PEACE
    while (schedule.now < end && !this.#isWhole()) {
      if (this.#world.failures.length > 0) return
      schedule.runTo(schedule.now + 5 * TICK)
      this.#faults.mendWanted()
    }
    if (!this.#isWhole()) {
      this.#world.fail(`no convergence: ${this.#describe()}`)
      return
    }
    let isRead = 0
    this.#clients.readAll(this.#primary()!, () => {
      isRead += 1
    })
    schedule.runTo(schedule.now + 20 * TICK)
    if (isRead !== this.#clients.histories.size)
      this.#world.fail('the last reads were not answered')
  }

  #primary(): Host | undefined {
    const { primary } = this.#coordinator.state.decision
    return this.#hosts.find(({ id, core }) => id === primary && core?.isServing)
  }

  #isWhole(): boolean {
    const { decision, wanted } = this.#coordinator.state
    const isSettled =
      decision.previous === undefined &&
      wanted.length === decision.replicas.length &&
      wanted.every((id) => decision.replicas.includes(id))
    const last = this.#primary()?.core?.log.tail.last.sequence
    return isSettled && this.#replicas().every(({ core }) => core?.log.applied === last)
  }

  #replicas(): Host[] {
    const { replicas } = this.#coordinator.state.decision
    return replicas.flatMap((id) => this.#hosts.find((host) => host.id === id) ?? [])
  }

  #describe(): string {
    const { decision, wanted } = this.#coordinator.state
    const hosts = this.#hosts.map(({ id, core }) => {
      if (core === undefined) return `${id} down`
      const { promised, committed, applied, tail } = core.log
      const { epoch, sequence } = tail.last
      return `${id} ${core.reign ?? '-'} p${promised} c${committed} a${applied} l${epoch}/${sequence}`
    })
    return JSON.stringify({ decision, wanted, hosts })
  }

  #checkLogs(): void {
    const [first, ...others] = this.#replicas().map(({ rowsNow }) =>
      JSON.stringify([...rowsNow.rows].sort()),
    )
    if (this.#world.failures.length > 0) return
    if (others.some((rows) => rows !== first)) this.#world.fail('replicas have different rows')
    const applied = this.#primary()?.core?.log.applied ?? 0
    if (applied < this.#audit.lastApplied) this.#world.fail('the primary lacks what was applied')
  }

  #checkHistories(): number {
    let undecided = 0
    for (const history of this.#clients.histories.values()) {
      const verdict = history.check()
      if (verdict.kind === 'undecided') undecided += 1
      if (verdict.kind === 'unexplained') this.#world.fail(verdict.trouble)
    }
    return undecided
  }
}

/** So small that every limit is met; times as they are, but for the pace. */
function limitsFor(random: Seeded): Limits {
  return {
    messageBytes: 20,
    messageEntries: random.pick([1, 1, 2, 5]),
    windowEntries: 2 + random.below(10),
    windowBytes: 100,
    pendingEntries: 2 + random.below(14),
    pendingBytes: 200,
    unappliedEntries: 8,
    unappliedBytes: 160,
    retainEntries: random.below(20),
    retainBytes: 100,
    lackedEntries: 4,
    lackedBytes: 40,
    readsMax: 2 + random.below(10),
    answersMax: 5 + random.below(20),
    learnedEntries: random.below(3),
    resendTicks: 2,
    suspectTicks: 3 + random.below(4),
    jitterTicks: 3,
    lateTicks: 4,
    rowsLateTicks: 8,
    decideTicks: 3,
  }
}
