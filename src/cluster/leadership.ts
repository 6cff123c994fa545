// Who leads: a node that stops lets others lead first what it leads, so that nobody has to miss it; and one that leads more than its
// share gives some away to those that lead less, because whoever comes back leads nothing. The coordinator decides each.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { ReplicaId } from '../metadata/replication/decision.ts'
import { parseReplicaId } from '../metadata/replication/replica-id.ts'
import type { Decisions, Reigning, ReplicasOfNode } from '../storage-node/replicated/contract.ts'

/** What it is given. */
export interface LeadershipParts {
  world: Pick<World, 'clock'>
  log: Log
  /** Of this process. */
  nodeId: string
  decisions: Pick<Decisions, 'get'>
  host: Pick<ReplicasOfNode, 'onReign'>
  nodeOf(driveId: number): string | undefined
  /** Nodes that may lead: they answer, and have drives in service. This one is among them. */
  fitNodes(): readonly string[]
  partitionCount(): number
}

const EVERY_MS = 5_000

// What was given away and comes back soon had a reason to.
const REST_MS = 10 * 60_000

/** Of a node that stops: what was not decided by then is asked for again. */
const ASK_AGAIN_MS = 1_000
const LOOK_MS = 20

/** Looks after the partitions that this node leads. */
export class Leadership {
  readonly #parts: LeadershipParts
  readonly #reigns = new Map<number, Reigning>()
  /** When a partition may be given away again. */
  readonly #restUntilMs = new Map<number, number>()
  readonly #stopListening: () => void
  #evening: Periodic | undefined
  #isLeaving = false

  constructor(parts: LeadershipParts) {
    this.#parts = parts
    this.#stopListening = parts.host.onReign((reign) => this.#reigns.set(reign.partition, reign))
  }

  /** Gives away from now on what is above this node's share. */
  start(): void {
    const { world, log } = this.#parts
    const parts = { clock: world.clock, log }
    this.#evening = repeat('leadership', EVERY_MS, async () => this.evenOut(), parts)
  }

  async stop(): Promise<void> {
    this.#stopListening()
    await this.#evening?.stop()
  }

  /** Gives one partition away if this node leads more than its share, to a node that leads less. */
  evenOut(): void {
    const { nodeId, world, log } = this.#parts
    if (this.#isLeaving) return
    const leads = this.#countLeads()
    const mine = leads.get(nodeId) ?? 0
    const share = Math.ceil(this.#parts.partitionCount() / Math.max(1, leads.size))
    if (mine <= share) return
    const nowMs = world.clock.monotonicMs()
    for (const reign of this.#serving()) {
      const { partition } = reign
      if (nowMs < (this.#restUntilMs.get(partition) ?? 0)) continue
      const heirs = this.#heirsOf(partition, leads).filter((id) => this.#leadsOf(id, leads) < share)
      if (!reign.handOver(heirs)) continue
      this.#restUntilMs.set(partition, nowMs + REST_MS)
      log.info({ partition, leads: mine, share }, 'a metadata partition is handed over')
      return
    }
  }

  /** Lets others lead everything that is led here. Resolves when they do, or when the time is over. */
  async handOver({ deadlineMs }: { deadlineMs: number }): Promise<void> {
    this.#isLeaving = true
    const { clock } = this.#parts.world
    const untilMs = clock.monotonicMs() + deadlineMs
    const askAgainMs = new Map<Reigning, number>()
    const leads = this.#countLeads()
    for (;;) {
      const serving = this.#serving()
      const nowMs = clock.monotonicMs()
      if (serving.length === 0 || nowMs >= untilMs) break
      for (const reign of serving) {
        if (nowMs < (askAgainMs.get(reign) ?? 0)) continue
        askAgainMs.set(reign, nowMs + ASK_AGAIN_MS)
        this.#giveAway(reign, leads)
      }
      await clock.sleep(LOOK_MS)
    }
    const { length: left } = this.#serving()
    if (left > 0) this.#parts.log.warn({ left }, 'metadata partitions could not be handed over')
  }

  #giveAway(reign: Reigning, leads: Map<string, number>): void {
    const heirs = this.#heirsOf(reign.partition, leads)
    const [first] = heirs
    const heir = first && this.#nodeOf(first)
    if (!reign.handOver(heirs) || heir === undefined) return
    // So that the next one goes to somebody else.
    leads.set(heir, (leads.get(heir) ?? 0) + 1)
  }

  #serving(): Reigning[] {
    for (const [partition, reign] of this.#reigns) {
      if (reign.ended.aborted) this.#reigns.delete(partition)
    }
    return [...this.#reigns.values()]
  }

  /** Of the nodes that may lead. */
  #countLeads(): Map<string, number> {
    const leads = new Map(this.#parts.fitNodes().map((id) => [id, 0]))
    for (let partition = 0; partition < this.#parts.partitionCount(); partition += 1) {
      const primary = this.#parts.decisions.get(partition)?.primary
      const node = primary && this.#nodeOf(primary)
      const count = node === undefined ? undefined : leads.get(node)
      if (node !== undefined && count !== undefined) leads.set(node, count + 1)
    }
    return leads
  }

  /** Replicas on other nodes that may lead, those first whose nodes lead least. */
  #heirsOf(partition: number, leads: ReadonlyMap<string, number>): ReplicaId[] {
    const replicas = this.#parts.decisions.get(partition)?.replicas ?? []
    return replicas
      .filter((id) => {
        const node = this.#nodeOf(id)
        return node !== undefined && node !== this.#parts.nodeId && leads.has(node)
      })
      .sort((left, right) => this.#leadsOf(left, leads) - this.#leadsOf(right, leads))
  }

  #leadsOf(id: ReplicaId, leads: ReadonlyMap<string, number>): number {
    return leads.get(this.#nodeOf(id) ?? '') ?? 0
  }

  #nodeOf(id: ReplicaId): string | undefined {
    const driveId = parseReplicaId(id)?.driveId
    return driveId === undefined ? undefined : this.#parts.nodeOf(driveId)
  }
}
