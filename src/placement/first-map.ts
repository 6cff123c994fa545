// How a cluster of many machines begins: a map without drives, to which nodes add theirs; and once those of enough nodes are
// known the first table. Pure. Until then nothing can be stored, so nothing can be in the way of it.
import { type ErasureCode, MatrixId, nameCode, shardCount } from '../kit/erasure-code.ts'
import type { World } from '../kit/world.ts'
import { codeForDrives, type PartitionCounts } from './build-map.ts'
import { type ClusterMap, hasTable, type MapDrive, metaPartitionIds } from './cluster-map.ts'
import type { Change, ClusterState } from './coordinator.ts'
import { newIncarnation } from './coordinator-replicas.ts'
import { firstRecord, type NextRecord } from './etcd/leadership.ts'
import { fitToNodes, isSafeLayout, nodeOf } from './failure-domains.ts'
import { rebalance } from './rebalance.ts'
import { replicaDrives } from './replica-drives.ts'

/** Of clusters (docs/scale.md says how far they suffice). */
const CLUSTER_PARTITIONS: PartitionCounts = { partitionCount: 4096, metaPartitionCount: 64 }

/** What stands in a map that has no table: nothing is stored with it. */
const NO_CODE: ErasureCode = {
  dataCount: 1,
  parityCount: 0,
  matrix: MatrixId.CentredVandermonde,
}

/** Of each partition of a cluster that just begins. Whoever wrote the record first made it. */
const FIRST_EPOCH = 1

/** How it stands with the first table. `sentence`: what is awaited, or what is in its way. */
export type FirstMap =
  | { kind: 'made' }
  | { kind: 'awaited'; sentence: string }
  | { kind: 'refused'; sentence: string }
  | { kind: 'possible'; map: ClusterMap }

/** The map of a cluster before any node is known. */
export function emptyClusterMap(
  seed: string,
  counts: PartitionCounts = CLUSTER_PARTITIONS,
): ClusterMap {
  const slots = Array.from({ length: counts.partitionCount }, (): number[] => [])
  return { drives: [], code: NO_CODE, seed, ...counts, slots }
}

/** Whether the drives of so many nodes are known as are expected. */
export function hasAllNodes({ map, cluster }: ClusterState): boolean {
  return nodesIn(map.drives).size >= (cluster?.nodesExpected ?? 0)
}

function nodesIn(drives: readonly MapDrive[]): Set<string> {
  return new Set(drives.filter(({ isLeaving }) => !isLeaving).map(nodeOf))
}

/** What comes of the drives that are known. The same in every process: it does not matter who decides it. */
export function planFirstMap(state: ClusterState): FirstMap {
  const { map, cluster } = state
  if (hasTable(map) || cluster === undefined) return { kind: 'made' }
  const drives = map.drives.filter(({ isLeaving }) => !isLeaving)
  const nodes = nodesIn(drives).size
  const { nodesExpected, allowsUnsafeLayout = false } = cluster
  if (!hasAllNodes(state) || drives.length === 0) {
    const sentence = `the drives of ${nodes} of ${nodesExpected} nodes are known: the cluster begins to serve with the last of them.`
    return { kind: 'awaited', sentence }
  }
  const code = cluster.code ?? chooseCode(drives, allowsUnsafeLayout)
  if (code === undefined) return { kind: 'refused', sentence: sayUnsafe(drives) }
  if (shardCount(code) > drives.length) {
    const sentence = `the code ${nameCode(code)} needs ${shardCount(code)} drives, and ${drives.length} are known: more nodes have to join.`
    return { kind: 'refused', sentence }
  }
  if (!allowsUnsafeLayout && !isSafeLayout(drives, code))
    return { kind: 'refused', sentence: sayUnsafe(drives, code) }
  const slots = rebalance({ drives: map.drives, code, seed: map.seed, slots: map.slots })
  return { kind: 'possible', map: { ...map, code, slots } }
}

/** Decides the first table, once the drives of enough nodes are known and the records of all partitions are written. */
export function firstClusterMap(): Change {
  return (state) => {
    const plan = planFirstMap(state)
    return plan.kind === 'possible' ? { ...state, map: plan.map } : undefined
  }
}

/**
 * The first records of all metadata partitions. They have to be written before the table is decided, each only where none
 * is: with a table there may be data, and a record that is missing then is never made again.
 */
export function firstRecords(map: ClusterMap, random: World['random']): Map<number, NextRecord> {
  return new Map(
    metaPartitionIds(map).map((id) => {
      const replicas = replicaDrives(map, id, []).map((driveId) => ({
        driveId,
        incarnation: newIncarnation(random),
      }))
      return [id, firstRecord(replicas, FIRST_EPOCH)]
    }),
  )
}

/** By drives as embedded, and of the size that the loss of any one node is survived. */
function chooseCode(
  drives: readonly MapDrive[],
  allowsUnsafeLayout: boolean,
): ErasureCode | undefined {
  const usual = codeForDrives(drives.length)
  return fitToNodes(usual, drives) ?? (allowsUnsafeLayout ? usual : undefined)
}

function sayUnsafe(drives: readonly MapDrive[], code?: ErasureCode): string {
  const nodes = new Set(drives.map(nodeOf)).size
  const these = nodes === 1 ? 'one node' : `${nodes} nodes`
  const what =
    code === undefined
      ? `with ${these} the loss of one node loses data`
      : `with the code ${nameCode(code)} on ${these} the loss of one node loses data: no node may have more than ${code.parityCount} shards of an object`
  return `${what}. More nodes have to join, or the cluster has to be made with --allow-unsafe-layout.`
}
