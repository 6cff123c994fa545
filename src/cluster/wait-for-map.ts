// The beginning of a cluster, as those see it who wait for it: until the drives of its first nodes are known nothing can
// be stored.
import type { Log } from '../kit/log.ts'
import { hasTable } from '../placement/cluster-map.ts'
import type { ClusterState, Coordinator } from '../placement/coordinator.ts'
import { planFirstMap } from '../placement/first-map.ts'

/** Resolves once drives have their shares. */
export async function waitForMap(
  coordinator: Pick<Coordinator, 'state' | 'watch'>,
  { log }: { log: Log },
): Promise<void> {
  const isThere = (): boolean => hasTable(coordinator.state.map)
  if (isThere()) return
  log.info({ why: sayAwaited(coordinator.state) }, 'waiting for the first nodes of the cluster')
  await new Promise<void>((resolve) => {
    const unwatch = coordinator.watch(() => {
      if (!isThere()) return
      unwatch()
      resolve()
    })
  })
}

function sayAwaited(state: ClusterState): string {
  const plan = planFirstMap(state)
  return 'sentence' in plan ? plan.sentence : 'the first map is being decided'
}
