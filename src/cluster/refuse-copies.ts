// A directory that was copied, and served by a second node while the first still serves its own: the map would say now this
// node, now that one, and each of the two lacks what the other was given. A lock tells of one directory, not of a copy.
import { Exit } from '../exit.ts'
import type { Clock } from '../kit/world.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import { describeDrivesOf } from './departures.ts'

/** Who has not answered by then is taken to be gone: its disks were put into this machine. */
const ANSWER_MS = 3_000

/** Throws Exit where one of `drives` is served by the node that the map knows it of, and that is another one. */
export async function refuseCopies(
  drives: readonly { id: number; path: string }[],
  nodeId: string,
  {
    coordinator,
    peers,
    clock,
  }: {
    coordinator: Pick<Coordinator, 'state'>
    peers: Pick<NodePeers, 'ask'>
    clock: Pick<Clock, 'monotonicMs'>
  },
): Promise<void> {
  const homes = new Map(coordinator.state.map.drives.map((drive) => [drive.id, drive.nodeId]))
  for (const { id, path } of drives) {
    const home = homes.get(id)
    if (home === undefined || home === nodeId) continue
    const deadlineMs = clock.monotonicMs() + ANSWER_MS
    const found = await describeDrivesOf(home, { peers, deadlineMs }).catch(() => undefined)
    const served = found?.drives.find((one) => one.driveId === id && one.failure === undefined)
    if (served === undefined) continue
    throw new Exit(
      4,
      `${path} is a copy of drive ${id}, which node ${home} serves at ${served.path}: only one of both can be it. End that node first if this one is to have the drive.`,
    )
  }
}
