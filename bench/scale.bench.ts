// What a cluster costs that grows: the map and its changes, measured; rows, listings, failover and passes, computed from
// the figures that docs/scale.md names. `npm run bench -- scale`: two minutes, most of them the first table of a thousand drives.
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { prepareDigests } from '../src/digest/prepare.ts'
import { shardCount } from '../src/kit/erasure-code.ts'
import type { ClusterState } from '../src/placement/coordinator.ts'
import { addDrives, drainNode, type NewDrive } from '../src/placement/coordinator-changes.ts'
import { changedKeys } from '../src/placement/etcd/state-keys.ts'
import { emptyClusterMap, planFirstMap } from '../src/placement/first-map.ts'
import { placeBlob } from '../src/placement/place.ts'
import { replicaCountFor, replicaDrives } from '../src/placement/replica-drives.ts'
import { printLine, round } from './measure.ts'

/** Nodes, drives of each, and objects in the cluster. */
export interface ScaleCase {
  nodes: number
  drives: number
  objects: number
}

const CASES: readonly ScaleCase[] = [
  { nodes: 10, drives: 4, objects: 1e9 },
  { nodes: 100, drives: 4, objects: 1e9 },
  { nodes: 100, drives: 10, objects: 1e9 },
  { nodes: 1000, drives: 1, objects: 1e9 },
]

// What is not measured here: docs/scale.md says where each is from.
const ROW_BYTES = 500
const FLAT_PAGE_MS = 20
const PREFIX_PAGE_MS = 326
const ELECTIONS_PER_SECOND = 100
const SHARD_LOOK_MS = 0.3
const CHECKED_AT_ONCE = 4
const DUTY = 0.2

/** One line of figures for each case. */
export async function benchScale(
  cases: readonly ScaleCase[] = CASES,
  print: (line: string) => void = printLine,
): Promise<Record<string, number | string>[]> {
  await prepareDigests()
  return cases.map((given) => {
    const figures = { ...describe(given), ...measureMap(given), ...computeRest(given) }
    print(JSON.stringify(figures))
    return figures
  })
}

function describe({ nodes, drives, objects }: ScaleCase): Record<string, number> {
  return { nodes, drives: nodes * drives, objects }
}

function measureMap({ nodes, drives }: ScaleCase): Record<string, number | string> {
  const empty = stateOf(nodes, drivesOf(nodes, drives))
  const [plan, firstTableSeconds] = timed(() => planFirstMap(empty))
  if (plan.kind !== 'possible') throw new Error(plan.kind === 'made' ? 'made' : plan.sentence)
  const state = { ...empty, map: plan.map }
  const json = JSON.stringify(plan.map)
  const deflated = deflateRawSync(json)
  const [, readMs] = timed(() => JSON.parse(inflateRawSync(deflated).toString('utf8')))
  const joining = drivesOf(1, drives, nodes * drives + 1, nodes)
  const [joined, joinSeconds] = timed(() => addDrives(joining)(state)!)
  const [, drainSeconds] = timed(() => drainNode('node-1')(state))
  const head = { generation: 1, epoch: 9, id: '0123456789abcdef', ancestors: [] }
  const keys = changedKeys(state, joined, head)
  const bytes = keys.reduce((sum, key) => sum + (key.kind === 'put' ? key.value.length : 0), 0)
  const width = shardCount(plan.map.code)
  return {
    code: `${plan.map.code.dataCount}+${plan.map.code.parityCount}`,
    ...{ firstTableSeconds, joinSeconds, drainSeconds },
    mapJsonKiB: Math.round(json.length / 1024),
    mapInEtcdKiB: Math.round(deflated.length / 1024),
    mapChangeKiB: Math.round(bytes / 1024),
    mapReadMs: round(readMs * 1000),
    slotsOfADrive: Math.round((plan.map.partitionCount * width) / (nodes * drives)),
    slotsMovedByJoin: plan.map.slots.reduce(
      (sum, row, at) =>
        sum + row.slice(0, width).filter((id, i) => id !== joined.map.slots[at]![i]).length,
      0,
    ),
    placeMicroseconds: round(timePlacing(state)),
    replicas: replicaCountFor(plan.map),
    mostReplicasOfANode: mostReplicas(state),
  }
}

function timePlacing({ map }: ClusterState): number {
  const rounds = 2_000
  const [, seconds] = timed(() => {
    for (let at = 0; at < rounds; at += 1) placeBlob(map, at % map.partitionCount, map.code)
  })
  return (seconds / rounds) * 1e6
}

function mostReplicas({ map }: ClusterState): number {
  const counts = new Map<string, number>()
  for (let id = 0; id < map.metaPartitionCount; id += 1) {
    for (const driveId of replicaDrives(map, id, [])) {
      const node = map.drives.find((drive) => drive.id === driveId)!.nodeId!
      counts.set(node, (counts.get(node) ?? 0) + 1)
    }
  }
  return Math.max(...counts.values())
}

/** 64 metadata partitions with five replicas. */
function computeRest({ nodes, drives, objects }: ScaleCase): Record<string, number> {
  const [partitions, replicas] = [64, 5]
  const leaders = Math.min(partitions, nodes)
  const blobsOfLeader = objects / leaders
  const shards = nodes * drives >= 12 ? 12 : 6
  const lookMs = (shards * SHARD_LOOK_MS) / CHECKED_AT_ONCE / DUTY
  return {
    rowsOfAPartition: Math.round(objects / partitions),
    metadataGBOfANode: round((objects * ROW_BYTES * replicas) / nodes / 1e9),
    leadersAskedByList: leaders,
    listPageMsCpu: FLAT_PAGE_MS,
    listOf200PrefixesMsCpu: PREFIX_PAGE_MS,
    partitionsLedByANode: Math.ceil(partitions / nodes),
    electionsMs: Math.round((Math.ceil(partitions / nodes) / ELECTIONS_PER_SECOND) * 1000),
    pingsPerSecondOfANode: nodes - 1,
    checkPassHours: round((blobsOfLeader * lookMs) / 3_600_000),
  }
}

function stateOf(nodes: number, drives: readonly NewDrive[]): ClusterState {
  return {
    ...{ clusterId: 'c', epoch: 1, metaPartitions: [], buckets: {}, nextBucketId: 1 },
    nextDriveId: 60_000,
    map: {
      ...emptyClusterMap('12345678901234567890'),
      drives: drives.map((drive) => ({ ...drive, state: 'active' })),
    },
    cluster: { nodesExpected: nodes, secret: '' },
  }
}

function drivesOf(nodes: number, drives: number, firstId = 1, firstNode = 0): NewDrive[] {
  return Array.from({ length: nodes * drives }, (_, at) => ({
    ...{ id: firstId + at, uuid: `01234567-89ab-cdef-0123-${`${firstId + at}`.padStart(12, '0')}` },
    // Of two sizes, as clusters are that have grown.
    ...{ weight: at % 2 === 0 ? 4_000 : 8_000, path: `/srv/kintsugi/${at % drives}` },
    ...{ nodeId: `node-${firstNode + (at % nodes)}`, zone: `zone-${(at % nodes) % 10}` },
  }))
}

function timed<T>(work: () => T): [T, number] {
  const start = process.cpuUsage()
  const value = work()
  const { user, system } = process.cpuUsage(start)
  return [value, round((user + system) / 1e6)]
}
