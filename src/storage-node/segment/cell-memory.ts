// Where cells lie from the drive to the socket: in memory of WebAssembly, for there they are verified without being copied.
import { hashInPlace } from '../../digest/xxh64.ts'
import { roundUp } from '../../kit/bytes.ts'
import { CELL_BYTES } from '../../kit/erasure-code.ts'
import { LentMemory, LentSlot } from '../../kit/lent-bytes.ts'
import { webAssembly } from '../../kit/webassembly.ts'
import { TRAILER_BYTES } from './record-format.ts'

const MAX_SPARE = 64
// Few: what one reader keeps for himself keeps the others of its room from being collected.
const SLOTS_OF_ROOM = 4
const PAGE_BYTES = 65_536
/** Cells that begin at a line of the cache. */
const LINE_BYTES = 64

// Of all drives of the process together, for the number of reads under way does not grow with that of drives.
const RECORDED_CELL_BYTES = CELL_BYTES + TRAILER_BYTES
const oneCell = lentRooms(RECORDED_CELL_BYTES)
const fourCells = lentRooms(4 * RECORDED_CELL_BYTES)

// Below this it is cheaper to allocate; and who keeps a few bytes must not keep a slot.
const LENT_BYTES_LEAST = 16 * 1024

/** A slot of at least so many bytes. */
export function takeSlot(bytes: number): LentSlot {
  if (bytes > LENT_BYTES_LEAST && bytes <= oneCell.slotBytes) return oneCell.take()
  if (bytes > LENT_BYTES_LEAST && bytes <= fourCells.slotBytes) return fourCells.take()
  return new LentSlot(Buffer.allocUnsafe(bytes), () => {})
}

function lentRooms(slotBytes: number): LentMemory {
  let free: Uint8Array[] = []
  const allocate = (): Uint8Array => {
    if (free.length === 0) free = newRoom(slotBytes)
    return free.pop()!
  }
  return new LentMemory({ slotBytes, maxSpare: MAX_SPARE, allocate })
}

/** Slots of a new room. The room is collected as all other memory is, when nobody has any of them. */
function newRoom(slotBytes: number): Uint8Array[] {
  const strideBytes = roundUp(slotBytes, LINE_BYTES)
  const pages = Math.ceil((SLOTS_OF_ROOM * strideBytes) / PAGE_BYTES)
  const memory = new webAssembly.Memory({ initial: pages, maximum: pages })
  hashInPlace(memory)
  return Array.from({ length: SLOTS_OF_ROOM }, (_, at) =>
    Buffer.from(memory.buffer, at * strideBytes, slotBytes),
  )
}
