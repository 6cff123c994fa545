// What a node has for a recovery of its cluster: replicas, dumps, and the shards on its drives.
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { World } from '../kit/world.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { type RecoveringHost, RecoveryService } from '../storage-node/recovery/recovery-service.ts'
import type { NodeStorage } from './node-storage.ts'
import { shardPages } from './shard-pages.ts'

/** What of a node a recovery may read, and the host that takes the replicas that it makes. */
export interface NodeRecoveryParts {
  world: World
  coordinator: Pick<Coordinator, 'state'>
  storage: Pick<NodeStorage, 'drives' | 'world'>
  host: RecoveringHost
}

/** Answers until what is on `opened` is closed. */
export function openRecoveryService(
  { coordinator, storage, host }: NodeRecoveryParts,
  opened: ClosingStack,
): RecoveryService {
  const { drives, world } = storage
  const service = new RecoveryService({
    ...{ world, host },
    drives: () => drives.list().filter(({ failure }) => failure === undefined),
    openDrives: () => [...drives.storesOfDrives().keys()],
    shards: (partition, signal) => {
      const [{ map }, stores] = [coordinator.state, drives.storesOfDrives()]
      return shardPages(partition, { stores, map, clock: world.clock, signal })
    },
  })
  opened.defer(async () => service.close())
  return service
}
