// Which nodes a whole cluster can do without at once: no blob loses more shards than its code bears, and no partition of
// metadata a majority of its replicas.
import type { Decision } from '../../../src/metadata/replication/decision.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import type { Seeded } from '../../support/seeded.ts'
import { blobsOf } from './blobs.ts'
import type { SimNode } from './members.ts'
import type { ClusterWorld } from './world.ts'

/** What goes with drives: `most` of `drives` may be lost. */
interface Stake {
  drives: readonly number[]
  most: number
}

/** Nodes that may be lost together, as many as the parity of the code at most. */
export async function drawLoss(world: ClusterWorld, random: Seeded): Promise<SimNode[]> {
  const stakes = [...(await stakesOfBlobs(world)), ...stakesOfPartitions(world)]
  const left = [...world.nodes]
  const lost: SimNode[] = []
  while (left.length > 0 && lost.length < world.shape.code.parityCount) {
    const [node] = left.splice(random.below(left.length), 1)
    if (bears(stakes, drivesOf([...lost, node!], world))) lost.push(node!)
  }
  return lost
}

function bears(stakes: readonly Stake[], gone: ReadonlySet<number>): boolean {
  return stakes.every(({ drives, most }) => drives.filter((id) => gone.has(id)).length <= most)
}

function drivesOf(nodes: readonly SimNode[], { gateways }: ClusterWorld): Set<number> {
  const ids = new Set(nodes.map(({ id }) => id))
  const { map } = gateways[0]!.coordinator!.state
  return new Set(map.drives.flatMap(({ id, nodeId }) => (ids.has(nodeId ?? '') ? [id] : [])))
}

/** Of all partitions: one that is handed over meanwhile is asked again once it is led. */
async function stakesOfBlobs(world: ClusterWorld): Promise<Stake[]> {
  for (;;) {
    const { ledPartitions } = world
    if (ledPartitions.length === world.shape.metaPartitions) {
      try {
        return await stakesIn(ledPartitions)
      } catch (error) {
        if (!(error instanceof MetadataUnavailable)) throw error
      }
    }
    await world.time.sleep(1_000)
  }
}

async function stakesIn(partitions: ClusterWorld['ledPartitions']): Promise<Stake[]> {
  const stakes: Stake[] = []
  for (const partition of partitions) {
    for await (const { drives, code } of blobsOf(partition))
      stakes.push({ drives, most: code.parityCount })
  }
  return stakes
}

/** A set that takes over needs a majority of the one before as well. */
function stakesOfPartitions({ nodes, shape }: ClusterWorld): Stake[] {
  const { decisions } = nodes[0]!.served!.metadata
  return Array.from({ length: shape.metaPartitions }, (_, id) => decisions.get(id)).flatMap(
    ({ replicas = [], previous }: Partial<Decision> = {}) => {
      const sets = previous === undefined ? [replicas] : [replicas, previous]
      return sets.map(stakeOfReplicas)
    },
  )
}

function stakeOfReplicas(replicas: readonly string[]): Stake {
  // The id of a replica begins with that of its drive.
  const drives = replicas.map((replica) => Number.parseInt(replica, 10))
  return { drives, most: Math.floor((replicas.length - 1) / 2) }
}
