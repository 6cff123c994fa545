// Where cells lie from the drive to the socket: in memory of WebAssembly, for there they are verified without being copied.
import { hashInPlace } from '../../digest/xxh64.ts'
import { roundUp } from '../../kit/bytes.ts'
import { CELL_BYTES } from '../../kit/erasure-code.ts'
import { type LentMemory, LentSlot } from '../../kit/lent-bytes.ts'
import { lentWasmRooms } from '../../kit/wasm-rooms.ts'
import { TRAILER_BYTES } from './record-format.ts'

const MAX_SPARE = 64
// Few: what one reader keeps for himself keeps the others of its room from being collected.
const SLOTS_OF_ROOM = 4
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
  return lentWasmRooms({
    ...{ slotBytes, strideBytes: roundUp(slotBytes, LINE_BYTES) },
    ...{ slotsOfRoom: SLOTS_OF_ROOM, maxSpare: MAX_SPARE },
    onRoom: hashInPlace,
  })
}
