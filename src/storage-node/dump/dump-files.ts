// Dumps on drives: which there are, writing one on several drives at once, reading one from all its copies.
import { asBuffer } from '../../kit/bytes.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import { listIfThere, removeIfThere } from '../../kit/files.ts'
import type { DiskFile, World } from '../../kit/world.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import {
  CHUNK_HEADER_BYTES,
  chunkLength,
  type DumpChunk,
  type DumpHead,
  decodeChunk,
  dumpName,
  encodeChunk,
  type NewChunk,
  parseDumpName,
} from './dump-format.ts'

/** What dumps need of a drive. */
export type DumpDrive = Pick<
  MetaDrive,
  'id' | 'path' | 'run' | 'syncFile' | 'syncDirectory' | 'failure'
>

/** A dump, and the drives that have a file of its name. */
export interface FoundDump {
  partition: number
  takenMs: number
  copies: DumpDrive[]
}

/** Where dumps are on a drive. */
export function dumpDirectory({ path }: Pick<DumpDrive, 'path'>): string {
  return `${path}/dump`
}

/** Whether a file of that directory is of a dump that was not finished. */
export function isDumpDraft(name: string): boolean {
  return name.startsWith(DRAFT)
}

const DRAFT = 'draft-'

function pathOf(drive: DumpDrive, { partition, takenMs }: Omit<FoundDump, 'copies'>): string {
  return `${dumpDirectory(drive)}/${dumpName(partition, takenMs)}`
}

/**
 * All dumps on these drives, the latest times first: which is the newest dump-order.ts tells. A drive that gives no answer has
 * none.
 */
export async function findDumps(
  drives: readonly DumpDrive[],
  { disk }: Pick<World, 'disk'>,
): Promise<FoundDump[]> {
  const found = new Map<string, FoundDump>()
  for (const drive of drives) {
    const names = await drive
      .run(() => listIfThere({ disk }, dumpDirectory(drive)))
      .catch((error) => {
        if (error instanceof DriveUnavailable) return []
        throw error
      })
    for (const name of names) {
      const parsed = parseDumpName(name)
      if (parsed === undefined) continue
      const dump = found.get(name) ?? { ...parsed, copies: [] }
      dump.copies.push(drive)
      found.set(name, dump)
    }
  }
  return [...found.values()].sort((left, right) => right.takenMs - left.takenMs)
}

/** Removes the copy of a dump on one drive. */
export async function removeCopy(
  drive: DumpDrive,
  dump: Omit<FoundDump, 'copies'>,
  { disk }: Pick<World, 'disk'>,
): Promise<void> {
  await drive.run(() => removeIfThere({ disk }, pathOf(drive, dump)))
}

/** A dump that is being written. Nothing of it counts before publish(). */
export class DumpWriter {
  readonly #lanes: { drive: DumpDrive; file: DiskFile; draft: string }[]
  readonly #world: Pick<World, 'disk'>
  #at = 0
  #index = 0

  private constructor(lanes: DumpWriter['lanes'], world: Pick<World, 'disk'>) {
    this.#lanes = [...lanes]
    this.#world = world
  }

  get lanes(): readonly { drive: DumpDrive; file: DiskFile; draft: string }[] {
    return this.#lanes
  }

  /** Written to each drive so far. */
  get bytes(): number {
    return this.#at
  }

  /** Begins a file on each of these drives that takes one. */
  static async open(
    drives: readonly DumpDrive[],
    partition: number,
    world: Pick<World, 'disk'>,
  ): Promise<DumpWriter> {
    const lanes: { drive: DumpDrive; file: DiskFile; draft: string }[] = []
    for (const drive of drives) {
      const draft = `${dumpDirectory(drive)}/${DRAFT}${partition}`
      try {
        await makeDirectory(drive, world)
        await drive.run(() => removeIfThere(world, draft))
        // It holds the state of the coordinator, secrets included: for the owner's eyes only.
        const file = await drive.run(() => world.disk.open(draft, 'create', 0o600))
        lanes.push({ drive, file, draft })
      } catch {
        // It failed or is full, which is said elsewhere: the others have the dump.
      }
    }
    return new DumpWriter(lanes, world)
  }

  /** Appends a chunk everywhere. Throws when no drive is left that takes it. */
  async write(chunk: NewChunk): Promise<void> {
    const bytes = encodeChunk(chunk, this.#index)
    await this.#onEach(({ drive, file }) => drive.run(() => file.write([bytes], this.#at)))
    this.#at += bytes.length
    this.#index += 1
  }

  /** Goes on with these drives alone. Throws when none of them is left. */
  async keepOn(drives: readonly DumpDrive[]): Promise<void> {
    await this.#onEach(async ({ drive }) => {
      if (!drives.includes(drive)) throw new Error('no drive has room for a dump')
    })
  }

  /** Makes the copies durable under the name of the dump; how many there are. */
  async publish(dump: Omit<FoundDump, 'copies'>): Promise<number> {
    await this.#onEach(async ({ drive, file, draft }) => {
      await drive.syncFile(file)
      await drive.run(() => this.#world.disk.rename(draft, pathOf(drive, dump)))
      await drive.syncDirectory(dumpDirectory(drive))
    })
    for (const { file } of this.#lanes) await file.close()
    return this.#lanes.length
  }

  /** Throws away what was written. */
  async abort(): Promise<void> {
    for (const lane of [...this.#lanes]) await this.#drop(lane)
  }

  async #onEach(step: (lane: DumpWriter['lanes'][number]) => Promise<void>): Promise<void> {
    let trouble: unknown = new Error('no drive takes a dump')
    for (const lane of [...this.#lanes]) {
      try {
        await step(lane)
      } catch (error) {
        trouble = error
        await this.#drop(lane)
      }
    }
    if (this.#lanes.length === 0) throw trouble
  }

  async #drop(lane: DumpWriter['lanes'][number]): Promise<void> {
    this.#lanes.splice(this.#lanes.indexOf(lane), 1)
    await lane.file.close()
    const { drive, draft } = lane
    // What can not be removed now is removed by the next dump.
    await drive.run(() => removeIfThere(this.#world, draft)).catch(() => undefined)
  }
}

/** How it is with one copy of a dump. `unread`: what kept it from being read says nothing of what is in it. */
export type CopyLook = { kind: 'whole' } | { kind: 'damaged' } | { kind: 'unread'; error: unknown }

/** What one copy of a dump says of itself. */
export type HeadLook = { kind: 'head'; head: DumpHead } | Exclude<CopyLook, { kind: 'whole' }>

/** Reads the head of one copy. */
export async function lookAtHead(
  drive: DumpDrive,
  dump: Omit<FoundDump, 'copies'>,
  { disk }: Pick<World, 'disk'>,
): Promise<HeadLook> {
  try {
    const file = await drive.run(() => disk.open(pathOf(drive, dump), 'read'))
    try {
      const { chunk } = (await readChunkOf({ drive, file }, 0, 0)) ?? {}
      return chunk?.kind === 'head' ? { kind: 'head', head: chunk.head } : { kind: 'damaged' }
    } finally {
      await file.close()
    }
  } catch (error) {
    return { kind: 'unread', error }
  }
}

/** Reads one copy to its end. What `pace` throws ends it. */
export async function lookAtCopy(
  drive: DumpDrive,
  dump: Omit<FoundDump, 'copies'>,
  { disk }: Pick<World, 'disk'>,
  pace: () => Promise<void>,
): Promise<CopyLook> {
  let file: DiskFile
  try {
    file = await drive.run(() => disk.open(pathOf(drive, dump), 'read'))
  } catch (error) {
    return { kind: 'unread', error }
  }
  try {
    for (let at = 0, index = 0; ; index += 1) {
      const found = await readChunkOf({ drive, file }, at, index).catch((error) => ({ error }))
      if (found === undefined) return { kind: 'damaged' }
      if ('error' in found) return { kind: 'unread', error: found.error }
      if (found.chunk.kind === 'end') return { kind: 'whole' }
      at += found.bytes
      await pace()
    }
  } finally {
    await file.close()
  }
}

/** No copy of a dump has a chunk as it was written. */
export class DumpDamaged extends Error {
  override readonly name = 'DumpDamaged'
  readonly code = 'DUMP_DAMAGED'
}

/** All chunks of a dump, each from the first copy where it is whole. Throws DumpDamaged before it gives a wrong one. */
export async function* readDump(
  { copies, ...dump }: FoundDump,
  { disk }: Pick<World, 'disk'>,
): AsyncGenerator<DumpChunk> {
  const files: OpenCopy[] = []
  try {
    for (const drive of copies) {
      const file = await drive
        .run(() => disk.open(pathOf(drive, dump), 'read'))
        .catch(() => undefined) // Gone or failed: another copy may do.
      if (file) files.push({ drive, file })
    }
    for (let at = 0, index = 0; ; index += 1) {
      const found = await readChunk(files, at, index)
      if (found === undefined) throw new DumpDamaged(`chunk ${index} of a dump is damaged`)
      yield found.chunk
      if (found.chunk.kind === 'end') return
      at += found.bytes
    }
  } finally {
    for (const { file } of files) await file.close()
  }
}

interface OpenCopy {
  drive: DumpDrive
  file: DiskFile
}

interface FoundChunk {
  chunk: DumpChunk
  bytes: number
}

async function readChunk(
  copies: readonly OpenCopy[],
  at: number,
  index: number,
): Promise<FoundChunk | undefined> {
  for (const copy of copies) {
    // One that can not be read: another copy may do.
    const found = await readChunkOf(copy, at, index).catch(() => undefined)
    if (found !== undefined) return found
  }
  return undefined
}

/** Undefined where it is not as it was written. */
async function readChunkOf(
  { drive, file }: OpenCopy,
  at: number,
  index: number,
): Promise<FoundChunk | undefined> {
  const read = (target: Uint8Array): Promise<number> => drive.run(() => file.read([target], at))
  const header = Buffer.alloc(CHUNK_HEADER_BYTES)
  await read(header)
  const bytes = chunkLength(header, index)
  if (bytes === undefined) return undefined
  const target = asBuffer(new Uint8Array(bytes))
  const chunk = (await read(target)) === bytes ? decodeChunk(target) : undefined
  return chunk && { chunk, bytes }
}

async function makeDirectory(drive: DumpDrive, { disk }: Pick<World, 'disk'>): Promise<void> {
  const directory = dumpDirectory(drive)
  if ((await drive.run(() => disk.stat(directory))) !== undefined) return
  await drive.run(() => disk.makeDirectory(directory))
  await drive.syncDirectory(drive.path)
}
