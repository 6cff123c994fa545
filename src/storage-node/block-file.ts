// New files that are written in whole blocks past the page cache. Nobody reads a large shard soon after it was written, and
// to put it into pages first takes more than to send it to the disk: half as long again, and several times that where the
// pages are memory that a virtual machine gave back.
import { assert } from '../kit/assert.ts'
import { roundUp } from '../kit/bytes.ts'
import { removeIfThere } from '../kit/files.ts'
import type { LentMemory } from '../kit/lent-bytes.ts'
import { lentWasmRooms, WASM_PAGE_BYTES } from '../kit/wasm-rooms.ts'
import { DIRECT_BLOCK_BYTES as BLOCK, type Disk, type DiskFile } from '../kit/world.ts'

const MAX_SPARE = 48
const SLOTS_OF_ROOM = 16

// One cell of the usual length with what lies around it, and four: with many writers nearly all runs are of one. Of all drives
// of the process together; those under way are no more than what drives do at once.
const smallSlots = pagedSlots(3)
const largeSlots = pagedSlots(9)

/** Memory that begins at a page: of all but that of WebAssembly JavaScript does not know where it lies. */
function pagedSlots(pages: number): LentMemory {
  const slotBytes = pages * WASM_PAGE_BYTES
  const sizes = { slotBytes, strideBytes: slotBytes }
  return lentWasmRooms({ ...sizes, slotsOfRoom: SLOTS_OF_ROOM, maxSpare: MAX_SPARE })
}

/** Zeros that a file of `bytes` needs behind it. */
export function blockPadding(bytes: number): Uint8Array {
  return new Uint8Array(roundUp(bytes, BLOCK) - bytes)
}

const REFUSALS = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'])

/** Whether `error` says that a file system does not take such writes. */
export function refusesBlocks(error: unknown): boolean {
  return REFUSALS.has((error as { code?: string } | undefined)?.code ?? '')
}

/** Whether files in this directory, of which `path` is a new one, can be written so. Throws what keeps all files from being written. */
export async function canWriteBlocks(disk: Disk, path: string): Promise<boolean> {
  if (disk.openDirect === undefined) return false
  const block = [new Uint8Array(BLOCK)]
  try {
    await writeNew(async () => inBlocks(await disk.openDirect!(path)), block)
    return true
  } catch (error) {
    if (refusesBlocks(error)) return false
    // Some have other words for it, and memory with an address of its kind may be lacking: what counts is whether it goes without.
    await removeIfThere({ disk }, path)
    await writeNew(() => disk.open(path, 'create'), block)
    return false
  }
}

async function writeNew(
  open: () => Promise<DiskFile>,
  block: readonly Uint8Array[],
): Promise<void> {
  const file = await open()
  try {
    await file.write(block, 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A block of which something is written, and how much. */
interface Part {
  readonly bytes: Uint8Array
  filled: number
}

/** A file of openDirect() that takes any bytes, each once, and not two writes at a time. Blocks are written when they are whole. */
export function inBlocks(file: DiskFile): DiskFile {
  const parts = new Map<number, Part>()
  return {
    read: (buffers, position) => file.read(buffers, position),
    write: (buffers, position) => writeBlocks({ file, parts }, buffers, position),
    sync: async () => {
      assert(parts.size === 0, 'a file that is synced is whole blocks')
      await file.sync()
    },
    stat: () => file.stat(),
    truncate: (bytes) => file.truncate(bytes),
    close: () => file.close(),
  }
}

async function writeBlocks(
  { file, parts }: { file: DiskFile; parts: Map<number, Part> },
  buffers: readonly Uint8Array[],
  position: number,
): Promise<void> {
  const bytes = buffers.reduce((sum, { length }) => sum + length, 0)
  const end = position + bytes
  let from = roundUp(position, BLOCK)
  let to = end - (end % BLOCK)
  const completed = new Map<number, Uint8Array>()
  for (const at of new Set([position - (position % BLOCK), to])) {
    const [partFrom, partTo] = [Math.max(at, position), Math.min(at + BLOCK, end)]
    if (partTo <= partFrom || partTo - partFrom === BLOCK) continue
    const part = parts.get(at) ?? { bytes: new Uint8Array(BLOCK), filled: 0 }
    copyRange(buffers, partFrom - position, part.bytes.subarray(partFrom - at, partTo - at))
    part.filled += partTo - partFrom
    assert(part.filled <= BLOCK, 'every byte is written once')
    parts.set(at, part)
    if (part.filled < BLOCK) continue
    parts.delete(at)
    completed.set(at, part.bytes)
    from = Math.min(from, at)
    to = Math.max(to, at + BLOCK)
  }
  const slots = to - from <= smallSlots.slotBytes ? smallSlots : largeSlots
  for (let at = from; at < to; at += slots.slotBytes) {
    const slot = slots.take()
    const run = slot.bytes.subarray(0, Math.min(slots.slotBytes, to - at))
    const [first, last] = [Math.max(at, position), Math.min(at + run.length, end)]
    copyRange(buffers, first - position, run.subarray(first - at, last - at))
    for (const [block, whole] of completed) {
      if (block >= at && block < at + run.length) run.set(whole, block - at)
    }
    try {
      await file.write([run], at)
    } finally {
      slot.release()
    }
  }
}

/** Fills `target` with what lies in `buffers`, one after the other, from byte `from` on. */
function copyRange(buffers: readonly Uint8Array[], from: number, target: Uint8Array): void {
  let start = 0
  let filled = 0
  for (const buffer of buffers) {
    const skipped = Math.max(0, from - start)
    start += buffer.length
    if (skipped >= buffer.length) continue
    if (filled === target.length) return
    const taken = buffer.subarray(skipped, skipped + target.length - filled)
    target.set(taken, filled)
    filled += taken.length
  }
}
