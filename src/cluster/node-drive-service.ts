// What a node does for those who ask about its drives: it says how they stand and how far it is with what leaves the cluster,
// makes directories drives, and takes back by itself what was pulled and is there again.
import { DriveCommands } from '../embedded/drive-commands.ts'
import { type WatchedDrive, watchReturns } from '../embedded/returning-drives.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { DepartureCount } from '../placement/departure.ts'
import {
  type DescribedDrive,
  type DescribedMoves,
  type DriveEntered,
  type DrivesOfNode,
  decodeEnterDrive,
  type EnterDrive,
  encodeDriveEntered,
  encodeDrivesOfNode,
} from '../storage-node/rpc/drive-messages.ts'
import { MessageType } from '../storage-node/rpc/messages.ts'
import type { MessageHandler, NodeService } from '../storage-node/rpc/node-service.ts'
import type { MoveProgress } from '../storage-node/upkeep/mover.ts'
import type { DriveHome } from './node-drives.ts'
import type { NodeStorage } from './node-storage.ts'
import { type CopyParts, refusalOfCopy } from './refuse-copies.ts'
import { listUnserved } from './unserved-drives.ts'

/** What it is made of. */
export interface NodeDriveServiceParts {
  world: World
  log: Log
  coordinator: Coordinator
  storage: Pick<NodeStorage, 'drives' | 'entering' | 'leftOut' | 'space'>
  home: DriveHome
  peers: CopyParts['peers']
  /** How it stands with moving; undefined before the cluster has begun. */
  moves(): MoveProgress | undefined
  counts(): readonly DepartureCount[]
}

/** Drives of a node, as others ask about them. */
export class NodeDriveService implements NodeService {
  readonly messages: ReadonlyMap<number, MessageHandler>
  readonly streams: NodeService['streams'] = new Map()
  readonly #parts: NodeDriveServiceParts
  readonly #commands: DriveCommands

  constructor(parts: NodeDriveServiceParts) {
    this.#parts = parts
    const { world, coordinator, storage, home, peers } = parts
    const copies = { coordinator, peers, clock: world.clock }
    this.#commands = new DriveCommands({
      ...{ world, coordinator, drives: storage.drives, home },
      refuseCopy: (drive) => refusalOfCopy(drive, home.nodeId, copies),
      // Who drains asks all nodes, and not this one.
      refuseForRoom: async () => undefined,
      welcome: async () => {},
    })
    this.messages = new Map<number, MessageHandler>([
      [MessageType.DescribeDrives, async () => encodeDrivesOfNode(await this.describe())],
      [
        MessageType.EnterDrive,
        async (body, { checkDeadline }) => {
          const asked = decodeEnterDrive(body)
          checkDeadline()
          return encodeDriveEntered(await this.enter(asked))
        },
      ],
    ])
  }

  /** Begins to look for drives that went away, until what is on `opened` is closed. */
  watch(opened: ClosingStack): void {
    const { world, log } = this.#parts
    const add = (place: { path: string }) => this.enter({ kind: 'add', ...place })
    const returns = watchReturns({
      world,
      log,
      drives: { list: () => this.#watched() },
      commands: { add },
    })
    opened.defer(() => returns.stop())
  }

  /** How the drives of this node stand now. */
  async describe(): Promise<DrivesOfNode> {
    const { coordinator, storage, counts } = this.#parts
    const { leaving = [], ...moves } = this.#parts.moves() ?? {}
    return {
      epoch: coordinator.state.epoch,
      drives: await Promise.all(storage.drives.list().map((drive) => this.#describe(drive))),
      leaving: leaving.map(({ driveId, blobs, leftBehind }) => ({
        ...{ driveId, oldCopies: leftBehind },
        ...(blobs === undefined ? {} : { blobs }),
      })),
      moves: describeMoves(moves),
      counts: [...counts()],
    }
  }

  /** A directory becomes a drive, or one that was away is taken back. One after the other, and never while the map is told of drives. */
  async enter({ kind, ...place }: EnterDrive): Promise<DriveEntered> {
    const { storage } = this.#parts
    const outcome = await storage.entering.run(() =>
      'driveId' in place ? this.#commands.replace(place) : this.#commands.add(place),
    )
    return outcome.kind === 'refused' ? outcome : { ...outcome, warnings: [...outcome.warnings] }
  }

  /** Those that were opened, and those that were not there at the start. */
  #watched(): WatchedDrive[] {
    const { coordinator, storage, home } = this.#parts
    const live = storage.drives.list()
    const own = { nodeId: home.nodeId, live, leftOut: storage.leftOut }
    const lacking = listUnserved(coordinator.state.map, own).filter(({ isLive }) => !isLive)
    return [
      ...live,
      ...lacking.flatMap(({ path, ...one }) => (path === undefined ? [] : { ...one, path })),
    ]
  }

  async #describe({
    id,
    path,
    failure,
  }: Pick<DescribedDrive, 'path'> & { id: number; failure?: unknown }): Promise<DescribedDrive> {
    if (failure !== undefined) return { driveId: id, path, failure: String(failure) }
    const { drives, space: watch } = this.#parts.storage
    const space = await drives.spaceOf(id)
    if (space === undefined) return { driveId: id, path }
    const { freeBytes, totalBytes } = space
    const level = watch.spaces().get(id)?.level
    return { driveId: id, path, freeBytes, totalBytes, ...(level === undefined ? {} : { level }) }
  }
}

function describeMoves(moves: Partial<Omit<MoveProgress, 'leaving'>>): DescribedMoves {
  const { phase = 'idle', movedShards = 0, movedBytes = 0, anewBlobs = 0 } = moves
  const { remainingShards, remainingBytes, remainingAnew, bytesPerSecond } = moves
  const { waitingShards, leftMs } = moves
  return {
    ...{ phase, movedShards, movedBytes, anewBlobs },
    ...(remainingShards === undefined ? {} : { remainingShards }),
    ...(remainingBytes === undefined ? {} : { remainingBytes }),
    ...(remainingAnew === undefined ? {} : { remainingAnew }),
    ...(bytesPerSecond === undefined || !Number.isFinite(bytesPerSecond) ? {} : { bytesPerSecond }),
    ...(waitingShards === undefined ? {} : { waitingShards }),
    ...(leftMs === undefined ? {} : { leftMs }),
  }
}
