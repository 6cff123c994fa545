// What an operator does when nobody leads a partition though everything is mended: kintsugi cluster recover, as it is shipped, in the process
// of a gateway. After etcd came back from a backup of a time in which nobody had led the partition yet, nobody begins it by himself.
// Whatever else is led by nobody is a fault.
import { followOrigins } from '../../../src/cluster/origins.ts'
import { type RecoveredOfCluster, recoverCluster } from '../../../src/cluster/recover-cluster.ts'
import { Exit } from '../../../src/exit.ts'
import type { Log } from '../../../src/kit/log.ts'
import { metaPartitionIds } from '../../../src/placement/cluster-map.ts'
import { releaseOrphans } from '../../../src/placement/coordinator-changes.ts'
import { NodeRegistry } from '../../../src/placement/etcd/node-registry.ts'
import { PartitionRecords } from '../../../src/placement/etcd/partition-records.ts'
import { RemoteRecovery } from '../../../src/storage-node/recovery/remote-recovery.ts'
import type { SimTime } from '../time.ts'
import { SimPeers } from './peers.ts'
import type { ClusterWorld } from './world.ts'

/** Where a majority of the replicas lives one of them leads by then. */
const LED_WITHIN_MS = 60_000
const LOOK_MS = 2_000

/** A node may be opening a drive anew, or etcd be read anew: then it is run again. */
const RUNS_MAX = 5

type Say = (line: string) => void

/** Waits until all partitions are led, and recovers those that nobody ever led. Of what stays so others complain. */
export async function recoverUnled(
  world: ClusterWorld,
  { time, say }: { time: SimTime; say: Say },
): Promise<void> {
  for (let runs = 0; runs < RUNS_MAX; runs += 1) {
    const untilMs = time.nowMs + LED_WITHIN_MS
    while (!isLed(world) && time.nowMs < untilMs) await time.sleep(LOOK_MS)
    if (isLed(world)) return
    say(`recovery: ${await recoverOnce(world, say)}`)
  }
}

/** As far as a gateway knows. */
function isLed(world: ClusterWorld): boolean {
  const parts = partsOf(world, () => {})
  if (parts === undefined) return false
  const ids = metaPartitionIds(parts.coordinator.state.map)
  return ids.every((id) => parts.records.get(id)?.primary !== undefined)
}

/** Gives a line about it. */
async function recoverOnce(world: ClusterWorld, say: Say): Promise<string> {
  const parts = partsOf(world, say)
  if (parts === undefined) return 'no gateway serves'
  const stop = followOrigins(parts)
  try {
    const plan = { mode: 'plan', withoutMissing: [] } as const
    const { partitions, missing } = await recoverCluster(plan, parts)
    const lost = partitions.find(wasLed)
    if (lost !== undefined) return `not begun, for something was lost: ${JSON.stringify(lost)}`
    const withoutMissing = missing.flatMap(({ driveId }) =>
      isGone(driveId, world, parts) ? driveId : [],
    )
    const outcome = await recoverCluster({ mode: 'recover', withoutMissing }, parts)
    // Every drive is there that ever will be: what no row names now is nobody's.
    if (outcome.partitions.some(({ isDone }) => isDone))
      await parts.coordinator.decide(releaseOrphans())
    return JSON.stringify(outcome)
  } catch (error) {
    if (!(error instanceof Exit)) throw error
    return error.message
  } finally {
    stop()
  }
}

/** Somebody wrote entries, so this is more than a partition that could not begin. */
function wasLed({ replicas, dumpMs, replay }: RecoveredOfCluster): boolean {
  const isWritten = replicas.some(({ end = 0 }) => end > 0)
  return isWritten || dumpMs !== undefined || (replay?.replayed ?? 0) > 0
}

/** For good. */
function isGone(driveId: number, { nodes }: ClusterWorld, { coordinator }: Parts): boolean {
  const known = coordinator.state.map.drives.find(({ id }) => id === driveId)
  const node = nodes.find(({ id }) => id === known?.nodeId)
  return (
    node === undefined || node.drives.some(({ path, isGone }) => isGone && path === known?.path)
  )
}

type Parts = Exclude<ReturnType<typeof partsOf>, undefined>

/** As openForRecovery() makes them; undefined while no gateway serves. */
function partsOf({ gateways, network }: ClusterWorld, say: Say) {
  const gateway = gateways.find(({ served }) => served !== undefined)
  const { coordinator, process, name: machine } = gateway ?? {}
  if (coordinator === undefined || process === undefined || machine === undefined) return undefined
  const { world } = process
  const log = logTo(say)
  const { mirror } = coordinator
  const peers = new SimPeers({ machine, process }, network)
  const recovery = new RemoteRecovery(peers, world)
  const records = new PartitionRecords(mirror, world)
  const nodes = new NodeRegistry(mirror, { world, log })
  return { world, log, coordinator, mirror, records, recovery, peers, nodes }
}

function logTo(say: Say): Log {
  const tell = (data: object, sentence: string): void =>
    say(`recovery: ${sentence} ${JSON.stringify(data)}`)
  const log: Log = { debug: () => {}, info: tell, warn: tell, error: tell, child: () => log }
  return log
}
