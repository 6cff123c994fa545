// A directory that was copied, and served by a second node while the first still serves its own: the map would say now this
// node, now that one, and each of the two lacks what the other was given. A lock tells of one directory, not of a copy.
import { Exit } from '../exit.ts'
import type { Clock } from '../kit/world.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import { describeDrivesOf } from './departures.ts'

/** Who has not answered by then is taken to be gone: its disks were put into this machine. */
const ANSWER_MS = 3_000

/** A directory that says that it is this drive. */
interface Claim {
  id: number
  path: string
}

/** Whom it asks. */
export interface CopyParts {
  coordinator: Pick<Coordinator, 'state'>
  peers: Pick<NodePeers, 'ask'>
  clock: Pick<Clock, 'monotonicMs'>
}

/** Throws Exit where one of `drives` is served by the node that the map knows it of, and that is not `nodeId`. */
export async function refuseCopies(
  drives: readonly Claim[],
  nodeId: string,
  parts: CopyParts,
): Promise<void> {
  const sentences = await Promise.all(drives.map((drive) => refusalOfCopy(drive, nodeId, parts)))
  const sentence = sentences.find((one) => one !== undefined)
  if (sentence !== undefined) throw new Exit(4, sentence)
}

/** Why `nodeId` may not serve it: another node does. Undefined where it may. */
export async function refusalOfCopy(
  { id, path }: Claim,
  nodeId: string,
  { coordinator, peers, clock }: CopyParts,
): Promise<string | undefined> {
  const home = coordinator.state.map.drives.find((drive) => drive.id === id)?.nodeId
  if (home === undefined || home === nodeId) return undefined
  const deadlineMs = clock.monotonicMs() + ANSWER_MS
  const found = await describeDrivesOf(home, { peers, deadlineMs }).catch(() => undefined)
  const served = found?.drives.find((one) => one.driveId === id && one.failure === undefined)
  if (served === undefined) return undefined
  return `${path} is a copy of drive ${id}, which node ${home} serves at ${served.path}: only one of both can be it. End that node first if this one is to have the drive.`
}
