// Slots to be lent that lie in memory of WebAssembly: it begins at a page, never moves, and kernels work on it in place.
import { LentMemory } from './lent-bytes.ts'
import { type WasmMemory, webAssembly } from './webassembly.ts'

/** The page of the WebAssembly specification: every memory is a whole number of them. */
export const WASM_PAGE_BYTES = 65_536

/** Slots of one size, some of them in each memory. */
export interface WasmRoomsOptions {
  slotBytes: number
  /** From the beginning of a slot to that of the next one. */
  strideBytes: number
  /** Each memory takes 10 GiB of addresses, however small it is; and one slot that somebody keeps keeps the others of its room. */
  slotsOfRoom: number
  maxSpare: number
  /** Told of each room. */
  onRoom?: (memory: WasmMemory) => void
}

/** Slots that are made when none is spare. A room is collected as all other memory is, when nobody has any of them. */
export function lentWasmRooms(options: WasmRoomsOptions): LentMemory {
  const { slotBytes, maxSpare } = options
  let free: Uint8Array[] = []
  const allocate = (): Uint8Array => {
    if (free.length === 0) free = newRoom(options)
    return free.pop()!
  }
  return new LentMemory({ slotBytes, maxSpare, allocate })
}

function newRoom({ slotBytes, strideBytes, slotsOfRoom, onRoom }: WasmRoomsOptions): Uint8Array[] {
  const pages = Math.ceil((slotsOfRoom * strideBytes) / WASM_PAGE_BYTES)
  const memory = new webAssembly.Memory({ initial: pages, maximum: pages })
  onRoom?.(memory)
  return Array.from({ length: slotsOfRoom }, (_, at) =>
    Buffer.from(memory.buffer, at * strideBytes, slotBytes),
  )
}
