// The object store of a cluster, as a gateway has it: shards on the drives of nodes, metadata wherever it is led.

import type { GatewaySettings } from '../config.ts'
import { chooseReducedCode } from '../embedded/reduced-code.ts'
import type { KeyProvider } from '../encryption/key-provider.ts'
import type { ErasureCode } from '../kit/erasure-code.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import type { World } from '../kit/world.ts'
import type { ReachablePartition } from '../metadata/contract.ts'
import { WritesUnderWay } from '../metadata/writes-under-way.ts'
import { Objects } from '../objects/objects.ts'
import { openStoreParts } from '../objects/open-parts.ts'
import { Pins } from '../objects/pins.ts'
import type { DamageReport } from '../objects/store-parts.ts'
import { writeQuorum } from '../objects/write-quorum.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { Router } from '../placement/router.ts'
import type { StorageNode } from '../storage-node/contract.ts'
import { DrivesOfNodes } from '../storage-node/drives-of-nodes.ts'
import { DamageLog } from '../storage-node/upkeep/damage-log.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import type { NodeCare } from './node-care.ts'

/** What the store of a gateway is made of. Whoever opened these closes them: the store does not. */
export interface ClusterStoreParts {
  world: World
  log: Log
  registry: Registry
  coordinator: Coordinator
  /** The shards of a node; undefined when it has no address. */
  nodes: { nodeOf(nodeId: string): StorageNode | undefined }
  care: Pick<NodeCare, 'guard' | 'isAway' | 'advice'>
  /** All of them, by their ids. */
  partitions: readonly ReachablePartition[]
  keys: KeyProvider
  /** Hears what readers find damaged. */
  reportDamage(report: DamageReport): void
  /** Of each pool of stripes, where it is not what is usual. */
  poolBytes?: number
}

/** The widest code that a cluster may be told to have (16+4): gateways run on while it gets one. */
const SHARDS_OF_WIDEST = 20

/** The store of a gateway. */
export interface ClusterStore {
  objects: Objects
  /** Its drives, as it reads and writes them. */
  node: StorageNode
  /** Of new objects of the class REDUCED_REDUNDANCY. */
  reducedCode(): ErasureCode
}

/** Puts it together. Throws Exit when the configuration asks for a code that can not be. */
export async function openClusterStore(
  config: Pick<GatewaySettings, 'reducedRedundancyCode'>,
  {
    world,
    log,
    registry,
    coordinator,
    nodes,
    care,
    partitions,
    keys,
    reportDamage,
    poolBytes,
  }: ClusterStoreParts,
): Promise<ClusterStore> {
  const nodeOf = nodesOfDrives(coordinator)
  const drives = new DrivesOfNodes((driveId) => {
    const nodeId = nodeOf(driveId)
    return nodeId === undefined ? undefined : nodes.nodeOf(nodeId)
  })
  const { clock } = world
  const damage = new DamageLog(log, registry)
  const node = care.guard(drives)
  const reducedCode = reducedCodeOf(config, coordinator)
  const parts = await openStoreParts({
    ...{ world, log, registry, coordinator, keys },
    node,
    router: new Router(coordinator, partitions),
    reducedCode,
    // Nodes know nothing of readers here: what nothing names any more stays for as long as the slowest of them may take.
    pins: new Pins(),
    writes: new WritesUnderWay(world),
    advice: care.advice,
    writeRule: writeQuorum({
      ...{ clock, coordinator, nodeOf },
      isAway: (driveId) => care.isAway(driveId),
    }),
    reportDamage: (report) => {
      damage.report(report)
      reportDamage(report)
    },
    poolBytes,
    shardsAtLeast: SHARDS_OF_WIDEST,
  })
  return { objects: new Objects(parts), node, reducedCode }
}

/** It fitted at the start; the code of the store may change meanwhile. */
function reducedCodeOf(
  config: Pick<GatewaySettings, 'reducedRedundancyCode'>,
  coordinator: Pick<Coordinator, 'state'>,
): () => ErasureCode {
  const { code, slots } = coordinator.state.map
  chooseReducedCode(config, code, slots[0]?.length ?? 0)
  return () => chooseReducedCode(config, coordinator.state.map.code, Number.POSITIVE_INFINITY)
}
