// Which drives are to hold the replicas of a metadata partition of a cluster: on distinct nodes, in as many zones as there
// are. Pure, and the same in every process.
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import { nodeOf, zoneOf } from './failure-domains.ts'
import { best, score } from './rendezvous.ts'

// Three, so that one may be lost; more than five cost every write more than they give.
const FEWEST = 3
const MOST = 5

/** How many replicas a partition is to have: so that m of them may be lost, but no more than there are nodes. */
export function replicaCountFor({ drives, code }: Pick<ClusterMap, 'drives' | 'code'>): number {
  const staying = drives.filter(({ isLeaving }) => !isLeaving)
  const nodes = new Set(staying.map(nodeOf)).size
  return Math.min(nodes, Math.max(FEWEST, Math.min(MOST, 2 * code.parityCount + 1)))
}

/**
 * The drives that are to hold the replicas of a partition which are on `current` now; those of them that stay come first, in
 * their order. Drives that are out are kept while no other node can take their place: a smaller set would have a smaller
 * majority, and not one that lives sooner.
 */
export function replicaDrives(
  map: Pick<ClusterMap, 'drives' | 'code' | 'seed'>,
  partition: number,
  current: readonly number[],
): number[] {
  const count = replicaCountFor(map)
  const wanted: MapDrive[] = []
  while (wanted.length < count) {
    const next = chooseNext(map, partition, wanted, current)
    if (next === undefined) break
    wanted.push(next)
  }
  const ids = wanted.map(({ id }) => id)
  const isOut = (id: number): boolean =>
    map.drives.some((drive) => drive.id === id && drive.state === 'out' && !drive.isLeaving)
  const kept = current.filter((id) => !ids.includes(id) && isOut(id))
  const missing = Math.max(0, count - ids.length)
  const chosen = new Set([...ids, ...kept.slice(0, missing)])
  if (chosen.size === 0) return [...current]
  return [...current.filter((id) => chosen.has(id)), ...ids.filter((id) => !current.includes(id))]
}

/** Of the nodes that have none, those in the zones that have fewest; among them the one that the partition likes best. */
function chooseNext(
  { drives, seed }: Pick<ClusterMap, 'drives' | 'seed'>,
  partition: number,
  wanted: readonly MapDrive[],
  current: readonly number[],
): MapDrive | undefined {
  const nodes = new Set(wanted.map(nodeOf))
  const free = drives.filter((drive) => isUsable(drive) && !nodes.has(nodeOf(drive)))
  if (free.length === 0) return undefined
  const inZone = (drive: MapDrive): number =>
    wanted.filter((other) => zoneOf(other) === zoneOf(drive)).length
  const fewest = Math.min(...free.map(inZone))
  const roomy = free.filter((drive) => inZone(drive) === fewest)
  const liked = best(roomy, (drive) => like(`node ${nodeOf(drive)}`, partition, seed))
  const ofNode = roomy.filter((drive) => nodeOf(drive) === nodeOf(liked))
  const known = ofNode.find(({ id }) => current.includes(id))
  return known ?? best(ofNode, ({ uuid }) => like(uuid, partition, seed))
}

/** Every node and every drive has the same chance: rows are small, and what they cost is syncs. */
function like(name: string, partition: number, seed: string): number {
  return score({ uuid: `replica/${name}`, weight: 1 }, partition, seed)
}

function isUsable({ state, isLeaving }: MapDrive): boolean {
  return state === 'active' && !isLeaving
}
