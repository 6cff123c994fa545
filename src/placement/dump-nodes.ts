// Which nodes keep the dumps of a metadata partition of a cluster: one more than drives may be lost, those first that have no
// replica of it, so that what takes all replicas away leaves dumps. Pure, and the same in every process.
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import { nodeOf } from './failure-domains.ts'
import { score } from './rendezvous.ts'

/** Ids of nodes, and how many of its drives each of them is to use. */
export interface DumpNodes {
  nodes: readonly string[]
  /** More than one where there are fewer nodes than dumps. */
  copiesOfEach: number
}

/** `replicas`: ids of the drives that have the partition. */
export function dumpNodes(
  { drives, code, seed }: Pick<ClusterMap, 'drives' | 'code' | 'seed'>,
  partition: number,
  replicas: readonly number[],
): DumpNodes {
  const holders = new Set(drives.filter(({ id }) => replicas.includes(id)).map(nodeOf))
  const names = new Set(drives.filter(keepsDumps).map(nodeOf))
  const liked = [...names]
    .map((node) => ({ node, isHolder: holders.has(node), like: like(node, partition, seed) }))
    .sort((left, right) => Number(left.isHolder) - Number(right.isHolder) || right.like - left.like)
  const wanted = code.parityCount + 1
  const nodes = liked.slice(0, wanted).map(({ node }) => node)
  return { nodes, copiesOfEach: Math.ceil(wanted / Math.max(1, nodes.length)) }
}

function like(node: string, partition: number, seed: string): number {
  return score({ uuid: `dump/node ${node}`, weight: 1 }, partition, seed)
}

/** Whether what is put on a drive now is there for long: it works, and is not being emptied. */
export function keepsDumps({ state, isLeaving }: MapDrive): boolean {
  return state === 'active' && !isLeaving
}
