// LevelDB as a crash finds it. Its own disk I/O is native and nobody can record it, so it is modelled:
// a synced batch survives; any batch that was not synced may be lost, even when a later one was synced.
import type { AbstractBatchOperation } from 'abstract-level'
import { MemoryLevel } from 'memory-level'
import type { BytesLevel, OpenLevel } from '../../src/storage-node/drive-lock.ts'
import type { ForgetfulDisk } from './forgetful-disk.ts'
import type { Survival } from './forgetful-node.ts'

type Operations = AbstractBatchOperation<BytesLevel, Uint8Array, Uint8Array>[]

interface Batch {
  operations: Operations
  synced: boolean
}

/** LevelDBs by the inode of their directory, so that they move with a rename and end with a removal. */
export class ForgetfulLevels {
  readonly #disk: ForgetfulDisk
  readonly #batches: Map<number, Batch[]>
  /** Open LevelDBs, with how to write to them unnoticed. */
  readonly #open = new Map<number, (operations: Operations) => Promise<void>>()

  constructor(disk: ForgetfulDisk, batches = new Map<number, Batch[]>()) {
    this.#disk = disk
    this.#batches = batches
  }

  /** What a crash of the machine leaves, on the disk that it leaves. */
  crash(disk: ForgetfulDisk, survives: Survival): ForgetfulLevels {
    const left = new Map<number, Batch[]>()
    for (const [inode, batches] of this.#batches) {
      const kept = batches.filter(({ synced }) => synced || survives('row'))
      left.set(
        inode,
        kept.map(({ operations }) => ({ operations, synced: true })),
      )
    }
    return new ForgetfulLevels(disk, left)
  }

  /** LevelDB writes its tables in its own time: what was written so far is durable. */
  flush(path: string): void {
    for (const batch of this.#batches.get(this.#disk.inodeOf(path) ?? -1) ?? []) batch.synced = true
  }

  /** Loses everything in the LevelDB at `path`, as when its files were deleted. */
  clear(path: string): void {
    this.#batches.delete(this.#disk.inodeOf(path) ?? -1)
  }

  /** Changes a stored value without anybody noticing: rot. Says whether there was one that `pick` wanted. */
  async rot(
    path: string,
    pick: (key: Uint8Array) => boolean,
    change: (value: Uint8Array) => void,
  ): Promise<boolean> {
    const batches = this.#batches.get(this.#disk.inodeOf(path) ?? -1) ?? []
    const level = await filled(batches)
    for await (const [key, value] of level.iterator()) {
      if (!pick(key)) continue
      const rotten = Uint8Array.from(value)
      change(rotten)
      const operations: Operations = [{ type: 'put', key, value: rotten }]
      batches.push({ operations, synced: true })
      await this.#open.get(this.#disk.inodeOf(path) ?? -1)?.(operations)
      return true
    }
    return false
  }

  /** Loses the first `count` rows without a word. */
  async loseRows(path: string, count: number): Promise<void> {
    const batches = this.#batches.get(this.#disk.inodeOf(path) ?? -1) ?? []
    const level = await filled(batches)
    const keys = await level.keys({ limit: count }).all()
    const operations: Operations = keys.map((key) => ({ type: 'del', key }))
    batches.push({ operations, synced: true })
    await this.#open.get(this.#disk.inodeOf(path) ?? -1)?.(operations)
  }

  /** Opens the LevelDB in a directory of the forgetful disk, which is made when it is missing. */
  readonly openLevel: OpenLevel = async (path) => {
    if ((await this.#disk.stat(path)) === undefined) await this.#disk.makeDirectory(path)
    const inode = this.#disk.inodeOf(path) ?? -1
    if (this.#open.has(inode)) throw lockedError()
    const batches = this.#batches.get(inode) ?? []
    this.#batches.set(inode, batches)
    const level = await filled(batches)
    return this.#recording(level, { path, inode, batches })
  }

  #recording(
    level: BytesLevel,
    { path, inode, batches }: { path: string; inode: number; batches: Batch[] },
  ): BytesLevel {
    const batch = level.batch.bind(level) as (operations: Operations) => Promise<void>
    const close = level.close.bind(level)
    this.#open.set(inode, batch)
    const recorded = async (
      operations: Operations,
      options?: { sync?: boolean },
    ): Promise<void> => {
      const entry: Batch = { operations, synced: false }
      batches.push(entry)
      await this.#disk.touch(path)
      entry.synced = options?.sync === true
      await batch(operations)
    }
    const closed = async (): Promise<void> => {
      this.#open.delete(inode)
      await close()
    }
    return Object.assign(level, { batch: recorded, close: closed }) as unknown as BytesLevel
  }
}

async function filled(batches: readonly Batch[]): Promise<BytesLevel> {
  const level = new MemoryLevel<Uint8Array, Uint8Array>({
    keyEncoding: 'view',
    valueEncoding: 'view',
    storeEncoding: 'view',
  }) as unknown as BytesLevel
  await level.open()
  for (const { operations } of batches) await level.batch(operations)
  return level
}

function lockedError(): Error {
  const cause = Object.assign(new Error('already held'), { code: 'LEVEL_LOCKED' })
  return Object.assign(new Error('not open', { cause }), { code: 'LEVEL_DATABASE_NOT_OPEN' })
}
