// Watches how full the file systems of all drives are: asks every two seconds and after every refusal, says each change
// of a level once, and keeps their ballast.
import { listIfThere } from '../../kit/files.ts'
import type { Log } from '../../kit/log.ts'
import type { DiskSpace, World } from '../../kit/world.ts'
import type { Drive } from '../drive.ts'
import { Ballast } from './ballast.ts'
import { FileSystemRoom, type RoomDrive } from './file-system-room.ts'
import { isWorse, type SpaceLevel } from './levels.ts'
import { neededByLevels } from './sizes.ts'

/** Parts of the watch. */
export interface SpaceParts {
  world: Pick<World, 'disk' | 'clock' | 'random'>
  log: Log
}

/** How much room is set aside as ballast. */
export interface SpaceOptions {
  /** Ballast is no longer: 64 MiB unless told otherwise, and 0 for none. */
  ballastBytes?: number
}

/** How full the file system of a drive is; drives may share one. */
export interface DriveSpace extends DiskSpace {
  driveId: number
  /** Bytes that writers may still write. */
  promisedBytes: number
  level: SpaceLevel
}

interface Watched {
  room: FileSystemRoom
  ballast: Ballast
  /** As it was said last. */
  saidLevel: SpaceLevel
  measuredAtMs: number
}

const MEASURE_EVERY_MS = 30_000
// A start has better things to do than to write ballast, and a store that is only tried out needs none.
const BALLAST_AFTER_MS = 10_000
const LEVELS = ['meta.db', 'shards.db'] as const

const SENTENCES = {
  ample: 'a file system has room again',
  'near-full': 'a file system is nearly full',
  'no-moves': 'a file system is so full that no shard is made again or moved there',
  'read-only': 'a file system is full: its drives take no new data',
  failsafe: 'a file system is full: nothing grows there but what deletes need',
} as const satisfies Record<SpaceLevel, string>

/** All file systems that drives lie on. */
export class SpaceWatch {
  readonly #options: SpaceOptions
  readonly #parts: SpaceParts
  readonly #byDevice = new Map<number, Watched>()
  readonly #byDrive = new Map<number, { watched: Watched; unlisten: () => void }>()
  readonly #listeners = new Set<() => void>()
  readonly #beganMs: number

  constructor(options: SpaceOptions, parts: SpaceParts) {
    this.#options = options
    this.#parts = parts
    this.#beganMs = parts.world.clock.monotonicMs()
  }

  /** Takes a drive in, in the place of one with its id; gives the room of its file system, which other drives may share. */
  async add(drive: Drive): Promise<FileSystemRoom> {
    const { disk } = this.#parts.world
    const stat = await drive.run(() => disk.stat(drive.path))
    this.remove(drive.id)
    const watched = this.#on(stat?.device ?? -drive.id)
    watched.room.add(drive)
    const unlisten = drive.onFull(() => void this.#refused(watched))
    this.#byDrive.set(drive.id, { watched, unlisten })
    await watched.room.ask()
    return watched.room
  }

  remove(driveId: number): void {
    const known = this.#byDrive.get(driveId)
    known?.unlisten()
    known?.watched.room.remove(driveId)
    this.#byDrive.delete(driveId)
  }

  /** The room that a drive has; undefined when it is not known. */
  roomOf(driveId: number): FileSystemRoom | undefined {
    return this.#byDrive.get(driveId)?.watched.room
  }

  /** How full the drives are, by id. */
  spaces(): Map<number, DriveSpace> {
    const spaces = [...this.#byDrive].map(
      ([
        driveId,
        {
          watched: { room },
        },
      ]) => {
        const { space, promisedBytes, level } = room
        return [driveId, { driveId, ...space, promisedBytes, level }] as const
      },
    )
    return new Map(spaces)
  }

  /** Calls back after a file system got another level; returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** One look at all of them. A file system that can not be asked keeps nobody from the others. */
  async round(): Promise<void> {
    const looks = [...this.#byDevice.values()].map((watched) => this.#look(watched))
    for (const result of await Promise.allSettled(looks)) {
      if (result.status === 'rejected')
        this.#parts.log.debug({ error: String(result.reason) }, 'the space of a drive is not known')
    }
  }

  #on(device: number): Watched {
    const known = this.#byDevice.get(device)
    if (known !== undefined) return known
    const { world } = this.#parts
    const room = new FileSystemRoom(world)
    const ballast = new Ballast(world, room, this.#options.ballastBytes)
    const measuredAtMs = Number.NEGATIVE_INFINITY
    const watched: Watched = { room, ballast, saidLevel: 'ample', measuredAtMs }
    this.#byDevice.set(device, watched)
    return watched
  }

  async #look(watched: Watched): Promise<void> {
    await this.#measure(watched)
    await watched.room.ask()
    this.#sayLevel(watched)
    if (this.#parts.world.clock.monotonicMs() - this.#beganMs < BALLAST_AFTER_MS) return
    const done = await watched.ballast.keep()
    if (done !== undefined) this.#sayBallast(watched, done)
  }

  /** What refuses now has to work soon: the ballast goes before anybody tries again. */
  async #refused(watched: Watched): Promise<void> {
    const isNew = watched.room.noteRefusal()
    if (!isNew) return
    try {
      const done = await watched.ballast.giveUp()
      if (done !== undefined) this.#sayBallast(watched, done)
      await watched.room.ask()
      this.#sayLevel(watched)
    } catch (error) {
      this.#parts.log.debug({ error: String(error) }, 'the space of a drive is not known')
    }
  }

  #sayLevel(watched: Watched): void {
    const { level, space, drives } = watched.room
    const before = watched.saidLevel
    if (level === before) return
    watched.saidLevel = level
    const { freeBytes, totalBytes, freeInodes, totalInodes } = space
    const facts = { freeBytes, totalBytes, freeInodes, totalInodes }
    const about = { drives: drives.map(({ id }) => id), level, before, ...facts }
    const weight = !isWorse(level, before) ? 'info' : isWorse(level, 'no-moves') ? 'error' : 'warn'
    this.#parts.log[weight](about, SENTENCES[level])
    for (const listener of this.#listeners) listener()
  }

  #sayBallast({ room }: Watched, done: 'made' | 'given up'): void {
    const about = { drives: room.drives.map(({ id }) => id), freeBytes: room.space.freeBytes }
    if (done === 'made') this.#parts.log.debug(about, 'ballast was made')
    else this.#parts.log.warn(about, 'a file system is full to the brim: its ballast was given up')
  }

  /** How much LevelDB must find free in order to go on follows from how much it holds. */
  async #measure(watched: Watched): Promise<void> {
    const nowMs = this.#parts.world.clock.monotonicMs()
    if (nowMs - watched.measuredAtMs < MEASURE_EVERY_MS) return
    watched.measuredAtMs = nowMs
    const { totalBytes } = watched.room.space
    for (const drive of watched.room.drives) {
      if (drive.failure !== undefined) continue
      const bytes = await this.#levelBytes(drive)
      watched.room.need(drive.id, neededByLevels(bytes, totalBytes))
    }
  }

  async #levelBytes(drive: RoomDrive): Promise<number> {
    const { disk } = this.#parts.world
    let total = 0
    for (const name of LEVELS) {
      const directory = `${drive.path}/${name}`
      const names = await drive.run(() => listIfThere({ disk }, directory))
      for (const file of names) {
        const stat = await drive.run(() => disk.stat(`${directory}/${file}`))
        total += stat?.bytes ?? 0
      }
    }
    return total
  }
}
