// Keeps the index usable whatever happens to LevelDB: what can not be opened or gives rotten rows is moved aside
// and filled again. Changes go through one lane, one after the other; reads wait only while it is mended.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { Log } from '../../kit/log.ts'
import { Semaphore } from '../../kit/semaphore.ts'
import { isMissing, type World } from '../../kit/world.ts'
import type { ShardId } from '../contract.ts'
import type { Drive } from '../drive.ts'
import { saysNoHandles, saysNoSpace } from '../drive-errors.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { lookAtLevel } from '../meta-rows/level-files.ts'
import type { DriveRoom } from '../space/drive-room.ts'
import { IndexCorrupt } from './index-rows.ts'
import type { KnownPlace } from './known-places.ts'
import { ShardIndex } from './shard-index.ts'

/** What the index of a drive is opened with; `room` tells whether one that a full disk stopped may be opened again. */
export interface KeptIndexParts {
  drive: Drive
  world: Pick<World, 'disk' | 'clock'>
  log: Log
  openLevel: OpenLevel
  room: Pick<DriveRoom, 'fits'>
}

/** How the owner of the index makes its rows again. */
export interface IndexSource {
  /** Counts again what the index holds: a write that failed may have been done. */
  recount(index: ShardIndex): Promise<void>
  /** Fills an empty index. */
  refill(index: ShardIndex): Promise<void>
}

const MAX_WAITING = 10_000
// An index that has to be mended more often than this has a disk below it that can not be trusted.
const MAX_MENDINGS = 8
const CLOSE_MS = 2000
/** A file that looks bad may be half written. */
const LOOK_AGAIN_MS = 500
const ASIDE = '.aside'

/** The index of one drive, mended when it must be. */
export class KeptIndex {
  readonly #parts: KeptIndexParts
  readonly #source: IndexSource
  readonly #lane = new Semaphore(1, { maxWaiting: MAX_WAITING })
  /** undefined before the first use, while it is mended, and after that went wrong. */
  #index: ShardIndex | undefined
  /** The index on disk may lack rows of any segment. */
  #mustRefill = false
  /** LevelDB takes no changes any more because it had no room for one; it still answers. */
  #lacksRoom = false
  /** Nor since it could not open a file: of that a disk knows nothing. */
  #mustReopen = false
  #mustRecount = false
  #mendings = 0
  #closed = false

  constructor(parts: KeptIndexParts, source: IndexSource) {
    this.#parts = parts
    this.#source = source
  }

  /** Removes what an interrupted mending left behind. */
  async removeLeftovers(): Promise<void> {
    const { drive, world } = this.#parts
    await drive.run(() => world.disk.removeTree(`${this.#path}${ASIDE}`))
  }

  /** Reads from the index, beside changes and other reads. `read` may run more than once. */
  async read<T>(read: (index: ShardIndex) => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < MAX_MENDINGS; attempt += 1) {
      const index = this.#index ?? (await this.change(async (opened) => opened))
      try {
        return await read(index)
      } catch (error) {
        if (!isIndexTrouble(error)) throw error
        await this.#mendAfterRead(index, error)
      }
    }
    throw this.#unavailable('the index keeps failing')
  }

  /** What is known of a shard without reading; undefined when read() is to tell. */
  findKnown(id: ShardId): KnownPlace | undefined {
    return this.#index?.findKnown(id)
  }

  /**
   * Changes the index, one change at a time. `change` runs again when the index had to be mended. Throws
   * DriveUnavailable('full') when there is no room for it: then nothing was changed.
   */
  async change<T>(change: (index: ShardIndex) => Promise<T>): Promise<T> {
    return await this.#inLane(async () => {
      if (this.#lacksRoom) await this.#giveUpWhenThereIsRoom()
      if (this.#mustReopen) await this.#giveUpToReopen()
      const index = this.#index ?? (await this.#open())
      try {
        return await change(index)
      } catch (error) {
        return await change(await this.#mend(error))
      }
    })
  }

  /** Reads the files of the index and mends it when one is damaged. */
  async scrub(pace: () => Promise<void>): Promise<{ files: number; damaged: number }> {
    const { drive, world } = this.#parts
    const pause = (): Promise<void> => world.clock.sleep(LOOK_AGAIN_MS)
    const look = await lookAtLevel({ drive, world, directory: this.#path, pause, pace })
    const { files, trouble } = look
    if (trouble === undefined) return { files, damaged: 0 }
    if (trouble.kind === 'log') await this.change((index) => index.flush())
    else await this.#inLane(async () => void (await this.#mend(new IndexCorrupt(trouble.detail))))
    return { files, damaged: 1 }
  }

  /** Closes the index after the changes under way. A drive that hangs is waited for only with `patience`. */
  async close({ patience = false }: { patience?: boolean } = {}): Promise<void> {
    const { drive, world } = this.#parts
    this.#closed = true
    if (drive.failure === undefined) await this.#lane.acquire()
    const index = this.#index
    this.#index = undefined
    if (index === undefined) return
    const closed = index.close()
    await (patience ? closed : Promise.race([closed, world.clock.sleep(CLOSE_MS)]))
  }

  get #path(): string {
    return `${this.#parts.drive.path}/shards.db`
  }

  async #inLane<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw this.#unavailable('closed')
    await this.#lane.acquire()
    try {
      return await work()
    } catch (error) {
      throw isIndexTrouble(error) ? this.#unavailable(error) : error
    } finally {
      this.#lane.release()
    }
  }

  async #mendAfterRead(index: ShardIndex, error: unknown): Promise<void> {
    await this.#inLane(async () => {
      if (this.#index === index) await this.#mend(error)
    })
  }

  async #open(): Promise<ShardIndex> {
    try {
      return this.#mustRefill ? await this.#refill() : await this.#reopen()
    } catch (error) {
      return await this.#mend(error)
    }
  }

  /** Gives back an index that works, or throws: what went wrong was not the index, or it can not be mended now. */
  async #mend(error: unknown): Promise<ShardIndex> {
    const { drive, log } = this.#parts
    if (saysNoSpace(error)) throw this.#noRoom(error)
    if (saysNoHandles(error)) throw this.#noHandles(error)
    if (!isIndexTrouble(error)) throw error
    this.#mendings += 1
    log.warn({ drive: drive.id, error }, 'the shard index is damaged: mending it')
    if (this.#mendings > MAX_MENDINGS) {
      drive.fail(error)
      throw this.#unavailable(error)
    }
    await this.#giveUp()
    if (error instanceof IndexCorrupt || this.#mustRefill) return await this.#refill()
    try {
      return await this.#reopen()
    } catch (again) {
      if (saysNoSpace(again)) throw this.#noRoom(again)
      if (saysNoHandles(again)) throw this.#noHandles(again)
      if (!isIndexTrouble(again)) throw again
      return await this.#refill()
    }
  }

  /** A full disk is no fault of the index: it is opened again when there is room, however often that happens. */
  #noRoom(cause: unknown): DriveUnavailable {
    this.#lacksRoom = true
    return new DriveUnavailable(this.#parts.drive.id, 'full', { cause })
  }

  /** Nor are too many open files: they are the process's, and all drives meet them at the same time. */
  #noHandles(cause: unknown): DriveUnavailable {
    this.#mustReopen = true
    return this.#unavailable(cause)
  }

  async #giveUpWhenThereIsRoom(): Promise<void> {
    if (!(await this.#parts.room.fits(0, 'upkeep'))) throw this.#noRoom('no room for changes')
    await this.#giveUpToReopen()
    this.#lacksRoom = false
  }

  async #giveUpToReopen(): Promise<void> {
    await this.#giveUp()
    this.#mustRecount = true
    this.#mustReopen = false
  }

  async #giveUp(): Promise<void> {
    const broken = this.#index
    this.#index = undefined
    if (broken === undefined) return
    // An index that can not even be closed is thrown away all the same.
    await this.#parts.drive.run(() => broken.close().catch(() => {}))
  }

  async #reopen(): Promise<ShardIndex> {
    await this.#lookBeforeOpening()
    const index = await ShardIndex.open(this.#path, this.#parts)
    if (this.#mendings > 0 || this.#mustRecount) await this.#source.recount(index)
    this.#mustRecount = false
    this.#index = index
    return index
  }

  /** LevelDB does not verify what it reads, and ends the process over some kinds of damage: again at every start. */
  async #lookBeforeOpening(): Promise<void> {
    const { drive, world } = this.#parts
    const { trouble } = await lookAtLevel({
      drive,
      world,
      directory: this.#path,
      // Nobody writes to it now, and everyone waits for it.
      pause: async () => {},
      pace: async () => {},
    }).catch((error) => {
      if (isMissing(error)) return { trouble: undefined } // It is made when it is opened.
      throw error
    })
    // What a crash leaves of its log looks like damage: that is LevelDB's to judge, and it tells.
    if (trouble?.kind === 'tables') throw new IndexCorrupt(trouble.detail)
  }

  async #refill(): Promise<ShardIndex> {
    const { drive, world } = this.#parts
    this.#mustRefill = true
    await drive.checkPresence()
    await drive.run(() => moveAside(world, this.#path))
    const index = await ShardIndex.open(this.#path, this.#parts)
    await this.#source.refill(index)
    await this.removeLeftovers()
    this.#index = index
    this.#mustRefill = false
    return index
  }

  #unavailable(cause: unknown): DriveUnavailable {
    return new DriveUnavailable(this.#parts.drive.id, 'failed', { cause })
  }
}

async function moveAside(world: Pick<World, 'disk'>, path: string): Promise<void> {
  await world.disk.removeTree(`${path}${ASIDE}`)
  if ((await world.disk.stat(path)) !== undefined) await world.disk.rename(path, `${path}${ASIDE}`)
  await world.disk.makeDirectory(path)
}

/** Whether `error` comes from the index rather than from the drive or from us. */
function isIndexTrouble(error: unknown): boolean {
  if (error instanceof IndexCorrupt) return true
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' && code.startsWith('LEVEL_')
}
