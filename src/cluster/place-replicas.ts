// Brings the replicas of metadata partitions that are led here to the drives where the map wants them: drives that came, left
// or were lost, and makes those anew that their drives do not have any more. A new replica is made first, then the primary takes
// it in step by step.
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
  /** The replica on any drive of the cluster: the one that lives there, or a new one, durable there. */
  prepare(driveId: number, partition: number): Promise<ReplicaId>
}

const LOOK_EVERY_MS = 5_000

/** A drive that could not take a replica is asked again so much later. */
const AGAIN_MS = 30_000

/** So often drives are asked whether they still have the replicas that count. */
const CHECK_EVERY_MS = 30_000

/** A reign and what was made for it. */
interface Placed {
  reign: Reigning
  /** When drives were asked for the replicas that count. */
  checkedMs: number
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
      const checkedMs = world.clock.monotonicMs()
      this.#placed.set(reign.partition, { reign, checkedMs, made: new Map(), refused: new Map() })
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
    for (const [driveId, id] of made) if (decision.replicas.includes(id)) made.delete(driveId)
    const drives = replicaDrives(coordinator.state.map, partition, [...known.keys()])
    await this.#remakeLost(placed, known)
    const isAsWanted = drives.every((id) => known.has(id) && !made.has(id))
    if (drives.length === known.size && isAsWanted) return
    const wanted: ReplicaId[] = []
    for (const driveId of drives) {
      const replica = made.get(driveId) ?? known.get(driveId)
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

  /** A drive that is there and has lost the replica that counts makes another one. One that is silent may have it still. */
  async #remakeLost(placed: Placed, known: ReadonlyMap<number, ReplicaId>): Promise<void> {
    const { prepare, world } = this.#parts
    const nowMs = world.clock.monotonicMs()
    if (nowMs - placed.checkedMs < CHECK_EVERY_MS) return
    placed.checkedMs = nowMs
    for (const [driveId, counted] of known) {
      const living = await prepare(driveId, placed.reign.partition).catch(() => counted)
      if (living !== counted) placed.made.set(driveId, living)
    }
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
