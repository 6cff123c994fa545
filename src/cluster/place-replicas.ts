// Brings the replicas of metadata partitions that are led here to the drives where the map wants them: drives that came, left
// or were lost. A new replica is made first, then the primary takes it in step by step.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { ReplicaId } from '../metadata/replication/decision.ts'
import { parseReplicaId } from '../metadata/replication/replica-id.ts'
import { hasTable } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { replicaDrives } from '../placement/replica-drives.ts'
import type { Decisions, Reigning, ReplicasOfNode } from '../storage-node/replicated/contract.ts'

/** What placing takes. */
export interface PlaceReplicasParts {
  world: Pick<World, 'clock'>
  log: Log
  coordinator: Pick<Coordinator, 'state'>
  decisions: Pick<Decisions, 'get'>
  replicas: Pick<ReplicasOfNode, 'onReign'>
  /** A new replica on any drive of the cluster, durable there. */
  prepare(driveId: number, partition: number): Promise<ReplicaId>
}

const LOOK_EVERY_MS = 5_000

/** A drive that could not take a replica is asked again so much later. */
const AGAIN_MS = 30_000

/** A reign and what was made for it. */
interface Placed {
  reign: Reigning
  /** By drive: replicas that were made and are not in the set yet. */
  made: Map<number, ReplicaId>
  /** Until when a drive is not asked again. */
  refused: Map<number, number>
  /** What was said last. */
  said?: string
}

/** Works until it is stopped. */
export class ReplicaPlacer {
  readonly #parts: PlaceReplicasParts
  readonly #placed = new Map<number, Placed>()
  #looking: Periodic | undefined
  #unwatch: () => void = () => {}

  constructor(parts: PlaceReplicasParts) {
    this.#parts = parts
  }

  start(): void {
    const { replicas, world, log } = this.#parts
    this.#unwatch = replicas.onReign((reign) => {
      this.#placed.set(reign.partition, { reign, made: new Map(), refused: new Map() })
    })
    const parts = { clock: world.clock, log }
    this.#looking = repeat('place-replicas', LOOK_EVERY_MS, () => this.look(), parts)
  }

  async stop(): Promise<void> {
    this.#unwatch()
    await this.#looking?.stop()
  }

  /** One round over all partitions that are led here. */
  async look(): Promise<void> {
    if (!hasTable(this.#parts.coordinator.state.map)) return
    for (const [partition, placed] of this.#placed) {
      if (placed.reign.ended.aborted) this.#placed.delete(partition)
      else await this.#place(placed)
    }
  }

  async #place(placed: Placed): Promise<void> {
    const { reign, made, refused } = placed
    const { coordinator, decisions, log } = this.#parts
    const { partition } = reign
    const decision = decisions.get(partition)
    // While a set is not activated yet the next change has to wait anyway.
    if (decision === undefined || decision.previous !== undefined) return
    const known = new Map(
      decision.replicas.map((id) => [parseReplicaId(id)?.driveId ?? Number.NaN, id]),
    )
    for (const driveId of known.keys()) made.delete(driveId)
    const drives = replicaDrives(coordinator.state.map, partition, [...known.keys()])
    if (drives.length === known.size && drives.every((id) => known.has(id))) return
    const wanted: ReplicaId[] = []
    for (const driveId of drives) {
      const replica = known.get(driveId) ?? made.get(driveId)
      const found = replica ?? (await this.#prepare(driveId, partition, refused))
      if (found === undefined) continue
      if (replica === undefined) made.set(driveId, found)
      wanted.push(found)
    }
    // Nobody leaves before who is to take the place is there.
    if (wanted.length < drives.length) {
      const kept = decision.replicas.filter((id) => !wanted.includes(id))
      wanted.push(...kept.slice(0, Math.max(0, decision.replicas.length - wanted.length)))
    }
    if (reign.ended.aborted) return
    if (placed.said !== wanted.join())
      log.info({ partition, wanted }, 'a metadata partition gets other replicas')
    placed.said = wanted.join()
    reign.want(wanted)
  }

  async #prepare(
    driveId: number,
    partition: number,
    refused: Map<number, number>,
  ): Promise<ReplicaId | undefined> {
    const { prepare, world, log } = this.#parts
    const nowMs = world.clock.monotonicMs()
    if ((refused.get(driveId) ?? Number.NEGATIVE_INFINITY) > nowMs) return undefined
    try {
      return await prepare(driveId, partition)
    } catch (error) {
      refused.set(driveId, nowMs + AGAIN_MS)
      log.info({ partition, driveId, error: String(error) }, 'no replica could be made on a drive')
      return undefined
    }
  }
}
