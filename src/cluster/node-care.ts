// What comes of nodes that do not answer (node-pulse.ts), for those who read and write shards: nobody waits for them, and
// nothing new is placed there. It is for this process alone and decides nothing: such a node may be well.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { nodeIdsOf } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { DriveAdvice, StorageNode } from '../storage-node/contract.ts'
import { CareAdvice } from '../storage-node/drive-care/advice.ts'
import { AsideDrives } from '../storage-node/drive-care/aside.ts'
import { DriveHealth } from '../storage-node/drive-care/drive-health.ts'
import { PatientNode } from '../storage-node/drive-care/patient-node.ts'
import type { NodePulse } from './node-pulse.ts'
import { WatchedNode } from './watched-node.ts'

/** What says which nodes are away, and the map that says which drives they have. */
export interface NodeCareParts {
  world: Pick<World, 'clock'>
  log: Log
  coordinator: Pick<Coordinator, 'state'>
  pulse: Pick<NodePulse, 'isAway'>
}

/** Those who wait for a node that is away hear of it within this time. */
const LOOK_EVERY_MS = 250

/** Looks at all nodes of the map from time to time, until it is stopped. */
export class NodeCare {
  readonly advice: DriveAdvice
  readonly #advice: CareAdvice
  readonly #parts: NodeCareParts
  readonly #aside = new AsideDrives()
  readonly #healths = new Map<number, DriveHealth>()
  readonly #looking: Periodic
  #away: ReadonlySet<string> = new Set()

  constructor(parts: NodeCareParts) {
    this.#parts = parts
    this.#advice = new CareAdvice(this.#healths)
    this.advice = this.#advice
    const { clock } = parts.world
    this.#looking = repeat('care-of-nodes', LOOK_EVERY_MS, async () => this.look(), {
      clock,
      log: parts.log,
    })
  }

  /** The same drives, on which nobody waits for nodes that are away, and the reads of which are measured. */
  guard(node: StorageNode): StorageNode {
    const watched = new WatchedNode(node, (driveId) => this.#healthOf(driveId))
    return new PatientNode(watched, this.#aside)
  }

  /** Whether a drive is of a node that does not answer. */
  isAway(driveId: number): boolean {
    return this.#aside.has(driveId)
  }

  /** Ids of nodes of the map that do not answer. */
  get nodesAway(): string[] {
    return [...this.#away].sort()
  }

  async stop(): Promise<void> {
    await this.#looking.stop()
  }

  /** Puts the drives of nodes aside that do not answer, and takes those back that do again. */
  look(): void {
    const { coordinator, pulse } = this.#parts
    const { drives } = coordinator.state.map
    const away = new Set(nodeIdsOf(drives).filter((id) => pulse.isAway(id)))
    this.#sayChanges(away)
    this.#away = away
    for (const { id, nodeId } of drives) {
      const isAway = nodeId !== undefined && away.has(nodeId)
      if (isAway === this.#aside.has(id)) continue
      if (isAway) this.#aside.put(id, `node ${nodeId} does not answer`)
      else this.#aside.takeBack(id)
      this.#advice.note(id, isAway)
    }
  }

  #sayChanges(away: ReadonlySet<string>): void {
    const { log } = this.#parts
    for (const nodeId of away)
      if (!this.#away.has(nodeId)) log.warn({ nodeId }, 'a node does not answer')
    for (const nodeId of this.#away)
      if (!away.has(nodeId)) log.info({ nodeId }, 'a node answers again')
  }

  #healthOf(driveId: number): DriveHealth {
    const known = this.#healths.get(driveId)
    if (known !== undefined) return known
    const health = new DriveHealth(() => this.#parts.world.clock.monotonicMs())
    this.#healths.set(driveId, health)
    return health
  }
}
