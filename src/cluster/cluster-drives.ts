// The drives and nodes of a cluster as its root sees them through a gateway, and what can be done with them. Gateways decide
// by themselves what is a change of the map; what happens on a drive is done by its node.
import { refuseForRoom, warnOfRoom } from '../embedded/drain-room.ts'
import { Refused } from '../embedded/drive-refusals.ts'
import {
  alreadyLeaving,
  draining,
  refuse,
  removed,
  sayCode,
  staying,
  weighing,
  withWarning,
} from '../embedded/drive-sentences.ts'
import type {
  AddDrive,
  DrainDrive,
  DriveList,
  DriveOutcome,
  DrivesApi,
  ReplaceDrive,
  WeighDrive,
} from '../gateway/admin-api.ts'
import type { DrainNode, NodeOutcome, NodesApi } from '../gateway/cluster-api.ts'
import type { ErasureCode } from '../kit/erasure-code.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { ReachablePartition } from '../metadata/contract.ts'
import type { MapDrive } from '../placement/cluster-map.ts'
import {
  type Change,
  type ClusterState,
  type Coordinator,
  CoordinatorUnavailable,
} from '../placement/coordinator.ts'
import {
  drainDrive,
  drainNode,
  inOrder,
  markOut,
  removeDrive,
  setWeight,
  undrainDrive,
} from '../placement/coordinator-changes.ts'
import {
  type DrainOptions,
  planDrain,
  planDrainNode,
  refuseRemove,
  refuseReplace,
  refuseUndrain,
  refuseWeight,
} from '../placement/drive-edits.ts'
import type { NodeRegistry } from '../placement/etcd/node-registry.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { awaitReturn, SILENT_REASON } from '../placement/silent-nodes.ts'
import {
  decodeDriveEntered,
  type EnterDrive,
  encodeEnterDrive,
} from '../storage-node/rpc/drive-messages.ts'
import { MessageType } from '../storage-node/rpc/messages.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import { describeNodes, detailsOf, sumMoves } from './described-drives.ts'
import { roomsOf } from './drive-rooms.ts'

/** What the commands act upon. */
export interface ClusterDriveParts {
  coordinator: Pick<Coordinator, 'state' | 'decide'>
  records: Pick<PartitionRecords, 'get'>
  registry: Pick<NodeRegistry, 'list' | 'forget'>
  peers: Pick<NodePeers, 'ask'>
  care: { nodesAway: readonly string[] }
  world: Pick<World, 'clock'>
  log: Log
  /** By the rows of which it is counted what has to move. */
  partitions: readonly Pick<ReachablePartition, 'scanBlobs'>[]
  /** Of the class REDUCED_REDUNDANCY, where the command line of this gateway names one: without room for it, it could not start again. */
  reducedCode?: ErasureCode | undefined
}

/** Of drives whose node never comes back. */
export const LOST_REASON = 'its node is lost for good'

/** Opening a drive reads all that is on it. */
const ENTER_MS = 120_000

/** A decision of another process is heard of within so long, or not waited for. */
const HEARD_MS = 3_000

const LOOK_MS = 50

/** The drives of a cluster. */
export class ClusterDrives implements DrivesApi {
  readonly nodes: NodesApi
  readonly #parts: ClusterDriveParts

  constructor(parts: ClusterDriveParts) {
    this.#parts = parts
    this.nodes = {
      drain: (request) => this.#drainNode(request),
      remove: (nodeId) => this.#removeNode(nodeId),
    }
  }

  async list(): Promise<DriveList> {
    const described = await describeNodes(this.#parts)
    const drives = this.#map.drives.map((drive) => detailsOf(drive, described, this.#parts))
    const moving = sumMoves(described, this.#parts.coordinator.state)
    return { drives, ...(moving === undefined ? {} : { moving }) }
  }

  async add({ nodeId, path, weight }: AddDrive): Promise<DriveOutcome> {
    return await refusing('drive', async () => {
      if (nodeId === undefined)
        throw new Refused(
          'say of which node the directory is: --node, as kintsugi status shows it.',
        )
      this.#refuseAway(nodeId)
      return await this.#enter(nodeId, { kind: 'add', path, ...weightOf(weight) })
    })
  }

  async replace({ driveId, nodeId, path, weight }: ReplaceDrive): Promise<DriveOutcome> {
    return await refusing('drive', async () => {
      refuse(refuseReplace(this.#map, driveId))
      const home = nodeId ?? this.#find(driveId)?.nodeId
      if (home === undefined) throw new Refused(`drive ${driveId} is of no node: say --node.`)
      this.#refuseAway(home)
      const asked = { kind: 'replace', driveId, path, ...weightOf(weight) } as const
      const outcome = await this.#enter(home, asked)
      if (outcome.kind !== 'done') return outcome
      return withWarning(outcome, await this.#warnOfRoom(outcome.driveId, driveId))
    })
  }

  async drain({ driveId, isCancelled, reEncode }: DrainDrive): Promise<DriveOutcome> {
    return await refusing('drive', async () => {
      if (isCancelled) {
        refuse(refuseUndrain(this.#map, driveId))
        await this.#decide(stay(driveId), () => !this.#find(driveId)?.isLeaving)
        return staying(driveId)
      }
      const already = alreadyLeaving(driveId, this.#find(driveId))
      if (already !== undefined) return already
      const options = this.#drainOptions(reEncode)
      const plan = planDrain(this.#map, driveId, options)
      if (plan.kind === 'refused') throw new Refused(plan.sentence)
      const { code: before } = this.#map
      await this.#refuseForRoom(`drive ${driveId}`, drainDrive(driveId, options))
      await this.#decide(drainDrive(driveId, options), () => !!this.#find(driveId)?.isLeaving)
      return draining(driveId, before, plan.code)
    })
  }

  async weigh({ driveId, weight }: WeighDrive): Promise<DriveOutcome> {
    return await refusing('drive', async () => {
      const { slots: before } = this.#map
      refuse(refuseWeight(this.#map, driveId))
      const isSo = (): boolean => this.#find(driveId)?.weight === weight
      await this.#decide(setWeight(driveId, weight), isSo)
      return weighing({ id: driveId, weight }, { before, after: this.#map.slots })
    })
  }

  async remove(driveId: number): Promise<DriveOutcome> {
    return await refusing('drive', async () => {
      refuse(this.#refuseRemove(driveId))
      const { path, nodeId } = this.#find(driveId) ?? {}
      await this.#decide(removeDrive(driveId), () => this.#find(driveId) === undefined)
      const where = path === undefined ? undefined : `${path} of node ${nodeId}`
      return removed(driveId, { what: 'cluster', where })
    })
  }

  async #drainNode(request: DrainNode): Promise<NodeOutcome> {
    const { nodeId, isCancelled, reEncode, isLost } = request
    return await refusing('node', async () => {
      if (isCancelled) return await this.#undrainNode(nodeId)
      if (isLost && !this.#parts.care.nodesAway.includes(nodeId))
        throw new Refused(`node ${nodeId} answers, so it is not lost: kintsugi drain ${nodeId}.`)
      const own = this.#drivesOf(nodeId)
      const isEmptied = own.length > 0 && own.every(({ isLeaving }) => isLeaving)
      if (isEmptied && !isLost)
        return { kind: 'done', nodeId, sentence: `node ${nodeId} is being emptied already.` }
      const givenUp = isLost ? own.map(({ id }) => markOut(id, LOST_REASON)) : []
      const anew = isEmptied ? '' : await this.#refuseDrainNode(request)
      const left = isEmptied ? [] : [drainNode(nodeId, this.#drainOptions(reEncode))]
      // One that was being emptied when it died is no less lost: nothing can be read from it.
      await this.#decide(inOrder([...givenUp, ...left]), () =>
        this.#drivesOf(nodeId).every(
          ({ isLeaving, state }) => isLeaving && (!isLost || state === 'out'),
        ),
      )
      const how = isLost ? 'is given up: what it had is made again' : 'is being emptied'
      const sentence = `node ${nodeId} ${how}: kintsugi drive list shows how far.${anew}`
      return { kind: 'done', nodeId, sentence }
    })
  }

  /** Throws Refused; gives what becomes of the code, in words. */
  async #refuseDrainNode({ nodeId, reEncode, isLost }: DrainNode): Promise<string> {
    const options = this.#drainOptions(reEncode)
    const plan = planDrainNode(this.#map, nodeId, options)
    if (plan.kind === 'refused') throw new Refused(plan.sentence)
    const anew = sayCode(this.#map.code, plan.code)
    // What is lost has to be made again, wherever there is room.
    if (!isLost) await this.#refuseForRoom(`node ${nodeId}`, drainNode(nodeId, options))
    return anew
  }

  async #undrainNode(nodeId: string): Promise<NodeOutcome> {
    const leaving = this.#drivesOf(nodeId).filter(({ isLeaving }) => isLeaving)
    if (leaving.length === 0) throw new Refused(`node ${nodeId} is not being emptied.`)
    await this.#decide(inOrder(leaving.map(({ id }) => stay(id))), () =>
      this.#drivesOf(nodeId).every(({ isLeaving }) => !isLeaving),
    )
    const isAwaited = this.#drivesOf(nodeId).some(({ reason }) => reason === SILENT_REASON)
    const when = isAwaited ? ', once it answers' : ''
    const sentence = `node ${nodeId} stays, and gets its share of the data again${when}.`
    return { kind: 'done', nodeId, sentence }
  }

  async #removeNode(nodeId: string): Promise<NodeOutcome> {
    return await refusing('node', async () => {
      const { registry } = this.#parts
      const own = this.#drivesOf(nodeId)
      if (own.length === 0 && !registry.list().some(({ id }) => id === nodeId))
        throw new Refused(`there is no node ${nodeId}: kintsugi status shows them.`)
      for (const { id } of own) refuse(this.#refuseRemove(id))
      if (own.length > 0)
        await this.#decide(inOrder(own.map(({ id }) => removeDrive(id))), () =>
          own.every(({ id }) => this.#find(id) === undefined),
        )
      await registry.forget(nodeId)
      const sentence = `node ${nodeId} is no part of the cluster any more: its process can be ended.`
      return { kind: 'done', nodeId, sentence }
    })
  }

  get #map(): ClusterState['map'] {
    return this.#parts.coordinator.state.map
  }

  #drainOptions(reEncode: boolean): DrainOptions {
    const { coordinator, reducedCode } = this.#parts
    const { allowsUnsafeLayout } = coordinator.state.cluster ?? {}
    return { reEncode, allowsUnsafeLayout, reducedCode }
  }

  /** Counts by the rows what has to move after the change. Throws Refused. */
  async #refuseForRoom(what: string, change: Change): Promise<void> {
    const after = change(this.#parts.coordinator.state)?.map
    if (after === undefined) return
    const emptied = new Set(after.drives.flatMap(({ id, state }) => (state === 'active' ? [] : id)))
    const described = await describeNodes(this.#parts)
    const roomOf = roomsOf(described.values(), (driveId) => emptied.has(driveId))
    refuse(await refuseForRoom(what, after, { ...this.#parts, roomOf }))
  }

  /** Of a drive that took the place of another one: its node has decided it, and this gateway hears of it a little later. */
  async #warnOfRoom(driveId: number, replacedId: number): Promise<string | undefined> {
    const { clock } = this.#parts.world
    const untilMs = clock.monotonicMs() + HEARD_MS
    while (this.#find(driveId) === undefined) {
      if (clock.monotonicMs() >= untilMs) return undefined
      await clock.sleep(LOOK_MS)
    }
    const described = await describeNodes(this.#parts)
    const roomOf = roomsOf(described.values(), (id) => id === replacedId)
    return await warnOfRoom(driveId, this.#map, { ...this.#parts, roomOf })
  }

  #find(driveId: number): MapDrive | undefined {
    return this.#map.drives.find(({ id }) => id === driveId)
  }

  #drivesOf(nodeId: string): MapDrive[] {
    return this.#map.drives.filter((drive) => drive.nodeId === nodeId)
  }

  #refuseRemove(driveId: number): string | undefined {
    const { map, orphanHold } = this.#parts.coordinator.state
    return refuseRemove(map, driveId, orphanHold, this.#drainOptions(false))
  }

  /** Throws Refused: only the node itself can make a directory of its machine a drive. */
  #refuseAway(nodeId: string): void {
    if (this.#parts.care.nodesAway.includes(nodeId))
      throw new Refused(
        `node ${nodeId} does not answer, and only it can make a directory of its machine a drive: start it, or name another node (--node).`,
      )
  }

  async #enter(nodeId: string, asked: EnterDrive): Promise<DriveOutcome> {
    const { peers, world } = this.#parts
    const deadlineMs = world.clock.monotonicMs() + ENTER_MS
    const request = { type: MessageType.EnterDrive, body: encodeEnterDrive(asked), deadlineMs }
    try {
      return decodeDriveEntered(await peers.ask(nodeId, request))
    } catch (error) {
      const why = (error as Error).message
      const sentence = `node ${nodeId} did not say that it was done (${why}): look with kintsugi drive list, and try again.`
      throw new Refused(sentence, { cause: error })
    }
  }

  async #decide(change: Change, isSo: () => boolean): Promise<void> {
    await this.#parts.coordinator.decide(change)
    if (!isSo())
      throw new Refused('the drives of the cluster changed meanwhile: look and try again.')
  }
}

/** Is not to be emptied any more. What was given up with its node is awaited again. */
function stay(driveId: number): Change {
  return inOrder([undrainDrive(driveId), awaitReturn(driveId, LOST_REASON)])
}

/** What `work` gives; a refusal in a sentence. */
async function refusing<Outcome extends DriveOutcome | NodeOutcome>(
  of: 'drive' | 'node',
  work: () => Promise<Outcome>,
): Promise<Outcome | { kind: 'refused'; sentence: string }> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Refused) return { kind: 'refused', sentence: error.message }
    if (!(error instanceof CoordinatorUnavailable)) throw error
    const what = of === 'drive' ? 'the drives' : 'the nodes'
    const fate =
      error.why === 'open'
        ? `it may have been decided or not. Look at ${what}, and try again`
        : `${what} stay as they are`
    return {
      kind: 'refused',
      sentence: `etcd can not decide it now (${error.message}): ${fate}.`,
    }
  }
}

function weightOf(weight: number | undefined): { weight?: number } {
  return weight === undefined ? {} : { weight }
}
