// kintsugi drain and kintsugi node remove: drives and whole nodes leave a store that runs.
import { Exit } from '../exit.ts'
import type { DriveDetails } from '../gateway/admin-api.ts'
import type { NodeDone } from '../gateway/cluster-api.ts'
import { realWorld } from '../kit/world.ts'
import { type AdminClient, type AdminOptions, openAdminClient } from './admin-client.ts'
import {
  type DrainOptions,
  drainDrive,
  isNodeId,
  parseNodeId,
  parseTimeout,
  type WaitParts,
  waitUntilVacated,
} from './drive.ts'
import { sayBeside } from './progress.ts'

/** Options of `node remove`. */
export interface RemoveNodeOptions extends AdminOptions {
  drain?: boolean
  lost?: boolean
  wait?: boolean
  reEncode?: boolean
  /** Seconds. */
  timeout: string
}

/** A drive or a node is emptied, or not any more. Throws Exit. */
export async function drain(id: string, options: DrainOptions): Promise<void> {
  if (!isNodeId(id)) return await drainDrive(id, options)
  const { cancel = false, reEncode = false, wait = false } = options
  const timeoutMs = parseTimeout(options.timeout)
  if (cancel && wait) throw new Exit(2, '--cancel and --wait do not go together.')
  const world = realWorld()
  const client = await openAdminClient(options, world)
  const request = { nodeId: id, isCancelled: cancel, reEncode, isLost: false }
  const begun = await client.drainNode(request)
  if (!wait) return say(begun, options)
  await waitForNode({ nodeId: id, timeoutMs }, { client, world, say: sayBeside })
  const sentence = `Nothing names the drives of node ${id} any more: kintsugi node remove ${id}.`
  say({ nodeId: id, sentence }, options)
}

/** A node leaves the cluster. Throws Exit. */
export async function removeNode(id: string, options: RemoveNodeOptions): Promise<void> {
  const { drain: drains = false, lost = false, reEncode = false, wait = false } = options
  const nodeId = parseNodeId(id)
  const timeoutMs = parseTimeout(options.timeout)
  if (wait && !drains && !lost) throw new Exit(2, '--wait goes with --drain or --lost.')
  const world = realWorld()
  const client = await openAdminClient(options, world)
  if (drains || lost) {
    const isEmpty = (await drivesOf(nodeId, client)).every((one) => one.isLeaving && one.isVacated)
    const request = { nodeId, isCancelled: false, reEncode, isLost: lost }
    if (!isEmpty) await client.drainNode(request)
    if (wait) await waitForNode({ nodeId, timeoutMs }, { client, world, say: sayBeside })
  }
  say(await client.removeNode(nodeId), options)
}

/** One drive after the other: they are emptied side by side all the same. Throws Exit with code 5. */
async function waitForNode(
  { nodeId, timeoutMs }: { nodeId: string; timeoutMs: number },
  parts: WaitParts,
): Promise<void> {
  const untilMs = parts.world.clock.monotonicMs() + timeoutMs
  for (const { id: driveId } of await drivesOf(nodeId, parts.client)) {
    const leftMs = Math.max(0, untilMs - parts.world.clock.monotonicMs())
    await waitUntilVacated({ driveId, timeoutMs: leftMs }, parts)
  }
}

async function drivesOf(
  nodeId: string,
  client: Pick<AdminClient, 'listDrives'>,
): Promise<DriveDetails[]> {
  const { drives } = await client.listDrives()
  return drives.filter((drive) => drive.nodeId === nodeId)
}

function say(done: NodeDone, { json }: AdminOptions): void {
  process.stdout.write(`${json ? JSON.stringify(done) : done.sentence}\n`)
}
