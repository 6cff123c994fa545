// Replicas under faults by chance: power that goes off, also within an operation, networks that are cut and lose messages, drives that are
// full or lost, primaries that are replaced. Nothing that was acknowledged is lost, and no read is older than it may be.
// SEED=n SEEDS=m runs others.
import t, { type Test } from 'tap'
import { changeReplicas, takeOver } from '../../../../src/metadata/replication/decision.ts'
import type { Reigning } from '../../../../src/storage-node/replicated/contract.ts'
import { byChance } from '../../../crash/forgetful-machine.ts'
import { Seeded } from '../../../support/seeded.ts'
import { put, ReplicaCluster } from './replica-cluster.ts'

const P = 1
const KEYS = 5
const NODES = 4
const STEPS = 150
const SEEDS = Number(process.env.SEEDS ?? 6)
const FIRST_SEED = Number(process.env.SEED ?? 1)

/** One writer of counted values, and readers. */
class Clients {
  readonly #cluster: ReplicaCluster
  readonly #seeded: Seeded
  /** By key, the highest value that was acknowledged, and the highest that was ever asked for. */
  readonly #acknowledged = new Map<string, number>()
  readonly #asked = new Map<string, number>()
  #isWriting = false
  #last = 0
  readonly failures: string[] = []
  /** A read of each of them has no answer yet. */
  readonly #reading = new Set<Reigning>()
  writes = 0
  reads = 0

  constructor(cluster: ReplicaCluster, seeded: Seeded) {
    this.#cluster = cluster
    this.#seeded = seeded
  }

  /** Several at once to a reign; the next ones come when these have their answers. */
  write(): void {
    const reign = this.#cluster.reignOf(P)
    if (reign === undefined || this.#isWriting) return
    this.#isWriting = true
    const count = 1 + this.#seeded.below(4)
    const all = Array.from({ length: count }, async () => {
      this.#last += 1
      const value = this.#last
      const key = this.#anyKey()
      this.#asked.set(key, value)
      await reign.log.append(put(key, `${value} ${'x'.repeat(this.#seeded.below(3000))}`))
      this.#acknowledged.set(key, Math.max(this.#acknowledged.get(key) ?? 0, value))
      this.writes += 1
    })
    void Promise.allSettled(all).then(() => {
      this.#isWriting = false
    })
  }

  async read(): Promise<void> {
    const reign = this.#cluster.reignOf(P)
    if (reign === undefined) return
    this.#reading.add(reign)
    await this.#readFrom(reign)
    this.#reading.delete(reign)
  }

  /** Whether reads wait for an answer of somebody who lives. */
  get isWaiting(): boolean {
    return [...this.#reading].some((reign) => !this.#cluster.dead.has(reign))
  }

  async #readFrom(reign: Reigning): Promise<void> {
    const key = this.#anyKey()
    const least = this.#acknowledged.get(key) ?? 0
    try {
      await reign.log.confirm()
      const found = await reign.log.rows.get(Buffer.from(key))
      this.#check(key, found, least)
    } catch (error) {
      const { code } = error as { code?: string }
      if (code !== 'METADATA_UNAVAILABLE') this.failures.push(String(error))
    }
  }

  /** What every key must be at the end, as it is in the rows of a replica. */
  checkAll(rows: ReadonlyMap<string, Uint8Array>): void {
    for (const [key, least] of this.#acknowledged) this.#check(key, rows.get(key), least)
  }

  #check(key: string, found: Uint8Array | undefined, least: number): void {
    this.reads += 1
    const value = found === undefined ? 0 : Number.parseInt(Buffer.from(found).toString(), 10)
    const isKnown = value <= (this.#asked.get(key) ?? 0)
    if (value < least || !isKnown) {
      this.failures.push(`${key} is ${value}, and was ${least} before`)
    }
  }

  #anyKey(): string {
    return `key ${this.#seeded.below(KEYS)}`
  }
}

/** Does something bad, or makes good again. */
class Faults {
  readonly #cluster: ReplicaCluster
  readonly #seeded: Seeded
  readonly #down = new Set<number>()
  readonly happened = new Set<string>()

  constructor(cluster: ReplicaCluster, seeded: Seeded) {
    this.#cluster = cluster
    this.#seeded = seeded
  }

  async next(): Promise<void> {
    const node = 1 + this.#seeded.below(NODES)
    const kinds = ['crash', 'crash all', 'power', 'cut', 'loss', 'full', 'stop', 'lead', 'away']
    const kind = this.#seeded.below(3) === 0 ? 'heal' : this.#seeded.pick(kinds)
    this.happened.add(kind)
    await this.#do(kind, node)
  }

  async heal(): Promise<void> {
    this.#cluster.cut.clear()
    this.#cluster.lossIn = 0
    this.#cluster.decisions.isAway = false
    for (const { machine } of this.#cluster.nodes.values()) {
      machine.disk.capacityBytes = 1024 ** 4
      if (!machine.disk.isOff) machine.disk.powerOffAfter(Number.POSITIVE_INFINITY)
    }
    for (const id of [...this.#down]) await this.#start(id)
  }

  async #do(kind: string, node: number): Promise<void> {
    const { machine } = this.#cluster.node(node)
    switch (kind) {
      case 'crash':
        this.#crash(node)
        return
      case 'crash all':
        for (let id = 1; id <= NODES; id += 1) this.#crash(id)
        await this.heal()
        return
      case 'power':
        machine.disk.powerOffAfter(this.#seeded.below(12))
        return
      case 'cut':
        this.#cluster.cut.add(node)
        return
      case 'loss':
        this.#cluster.lossIn = 2 + this.#seeded.below(10)
        return
      case 'full':
        machine.disk.capacityBytes = 0
        return
      case 'stop':
        if (!this.#down.has(node) && !machine.disk.isOff) await this.#stop(node)
        return
      case 'lead':
        this.#lead()
        return
      case 'away':
        this.#cluster.decisions.isAway = true
        return
      case 'heal':
        await this.heal()
        return
    }
  }

  #crash(id: number): void {
    if (this.#down.has(id)) return
    this.#down.add(id)
    this.#cluster.crash(id, byChance(this.#seeded.below(1 << 30) + 1))
  }

  async #stop(id: number): Promise<void> {
    this.#down.add(id)
    await this.#cluster.stop(id)
    // The power may go off meanwhile.
    if (this.#cluster.node(id).machine.disk.isOff) {
      this.#cluster.crash(id, byChance(this.#seeded.below(1 << 30) + 1))
    }
  }

  async #start(id: number): Promise<void> {
    this.#down.delete(id)
    await this.#cluster.start(id)
  }

  /** Another primary for no reason, or a replica more or less. */
  #lead(): void {
    const decision = this.#cluster.decisions.get(P)!
    const { replicas, previous } = decision
    const primary = this.#seeded.pick(replicas)
    const isSmaller = previous === undefined && replicas.length > 2 && this.#seeded.below(4) === 0
    const next = isSmaller
      ? changeReplicas(decision, { replicas: replicas.slice(0, -1), primary: replicas[0]! })
      : takeOver(decision, primary)
    this.#cluster.decisions.set(P, next)
  }
}

/** Nodes whose power went off within an operation are found without power. */
async function endPowerless(cluster: ReplicaCluster, seeded: Seeded): Promise<void> {
  for (const { id, machine, life } of cluster.nodes.values()) {
    if (life === undefined || !machine.disk.isOff) continue
    cluster.crash(id, byChance(seeded.below(1 << 30) + 1))
    await cluster.start(id)
  }
}

/** Whoever serves wants a replica on every node but one. */
async function wish(cluster: ReplicaCluster, seeded: Seeded): Promise<void> {
  const reign = cluster.reignOf(P)
  if (reign === undefined) return
  const without = 1 + seeded.below(NODES)
  const ids = [1, 2, 3, 4].filter((id) => id !== without && cluster.node(id).life !== undefined)
  if (ids.length < 3) return
  const made = ids.map((id) => cluster.host(id).prepare(id, P))
  // A drive without room or power makes none, and is not waited for.
  const wanted = await Promise.race([
    Promise.all(made).catch(() => undefined),
    cluster.step(3).then(() => undefined),
  ])
  if (wanted !== undefined) reign.want(wanted)
}

async function rowsOf(cluster: ReplicaCluster, node: number): Promise<Map<string, Uint8Array>> {
  const rows = new Map<string, Uint8Array>()
  const host = cluster.host(node)
  const { replica } = host.replicas().find(({ role }) => role !== 'learner')!
  for await (const page of host.serveRows(replica, P, new AbortController().signal)) {
    for (const { key, value } of page.rows) rows.set(Buffer.from(key).toString(), value)
  }
  return rows
}

async function run(t: Test, seed: number, happened: Set<string>): Promise<void> {
  const seeded = new Seeded(seed)
  const cluster = await ReplicaCluster.make(NODES, seed)
  await cluster.found(P, [1, 2, 3])
  const clients = new Clients(cluster, seeded)
  const faults = new Faults(cluster, seeded)
  for (let step = 0; step < STEPS; step += 1) {
    if (seeded.below(8) === 0) await faults.next()
    if (seeded.below(40) === 0) await wish(cluster, seeded)
    clients.write()
    void clients.read()
    await cluster.step()
    await endPowerless(cluster, seeded)
  }
  for (const fault of faults.happened) happened.add(fault)
  for (let round = 0; round < 5; round += 1) {
    await faults.heal()
    await endPowerless(cluster, seeded)
    await cluster.step(20)
  }
  await cluster.until('a partition is served again', () => cluster.reignOf(P) !== undefined, 400)
  const reign = cluster.reignOf(P)!
  await cluster.wait(reign.log.append(put('end', '0')))
  await cluster.step(20)
  await cluster.until('reads are answered', () => !clients.isWaiting)
  const members = cluster.decisions.get(P)!.replicas.map((id) => Number(id.split('-')[0]))
  const copies = await cluster.wait(Promise.all(members.map((id) => rowsOf(cluster, id))))
  for (const copy of copies) clients.checkAll(copy)
  for (const copy of copies) t.strictSame(copy, copies[0], `seed ${seed}: all have the same rows`)
  t.same(clients.failures, [], `seed ${seed}: nothing is lost, and no read is old`)
  const wrong = cluster.complaints.filter(({ data, sentence }) => {
    const { error } = data as { error?: Error }
    return /damaged|durable/.test(sentence) || error?.name === 'AssertionError'
  })
  t.same(wrong, [], `seed ${seed}: nothing is taken for rot, and no assertion fails`)
  t.ok(clients.writes > 20 && clients.reads > 20, `seed ${seed}: ${clients.writes} writes`)
  await cluster.close()
}

t.test('faults by chance', async (t) => {
  const happened = new Set<string>()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    t.comment(`seed ${seed}`)
    await run(t, seed, happened)
  }
  if (SEEDS >= 6) t.ok(happened.size >= 9, [...happened].join())
})
