// MD5 of long streams, up to eight of them at once. Nobody waits for others: each stream collects its bytes, and when it has
// enough, or has ended, it takes along what others have collected by then. Eight are five times as fast as one by one.
import { assert } from '../kit/assert.ts'
import { kibibytes } from '../kit/bytes.ts'
import { FasterWay } from '../kit/faster-way.ts'
import { type WasmMemory, webAssembly } from '../kit/webassembly.ts'
import type { Clock } from '../kit/world.ts'
import {
  CONTROL_BYTES,
  compileMd5,
  LANES,
  MD5_BLOCK_BYTES,
  MD5_STATES,
  type Md5Kernel,
  type Md5Kernels,
} from './md5-kernel.ts'

/** Bytes that a stream collects. */
const COLLECTED_BYTES = kibibytes(128)
/** When all streams have so much of it nobody waits for more. */
const ENOUGH_BYTES = COLLECTED_BYTES / 2
/** Behind them: the padding of the last block. */
const PLACE_BYTES = COLLECTED_BYTES + 2 * MD5_BLOCK_BYTES
/** Less than that is no room. */
const ROOM_BLOCKS_LEAST = COLLECTED_BYTES / MD5_BLOCK_BYTES / 4
/** With fewer that have so much it pays to go on with fewer and fewer, to the end of what the first one has. */
const ROOM_LANES_LEAST = 4
const MAX_PLACES = 32
/** Too short to find out which way is faster. */
const MEASURED_BLOCKS_LEAST = 256
const CONTROL = 0
const FIRST_PLACE = 2048
const PAGE_BYTES = 65_536

/** What a stream has in memory. It outlives a stream that nobody ended only until the next collection of garbage. */
interface Place {
  readonly at: number
  readonly state: Uint32Array
  /** Bytes that are collected. */
  filled: number
}

/** A stream that takes part in what is digested now, and how many of its blocks are. */
interface Lane {
  place: Place
  done: number
}

/** The streams of a process that are digested together. */
export class Md5Lanes {
  readonly #memory: WasmMemory
  readonly #bytes: Uint8Array
  readonly #pointers: Uint32Array
  readonly #states: Uint32Array
  readonly #kernels: Md5Kernels
  readonly #clock: Pick<Clock, 'monotonicMs'>
  /** For three lanes and for four: in plain registers, or in those of vectors. Which is faster differs from processor to processor. */
  readonly #ofThree = new FasterWay()
  readonly #ofFour = new FasterWay()
  readonly #free: number[]
  readonly #active = new Set<Place>()
  readonly #abandoned = new FinalizationRegistry<Place>((place) => this.#letGo(place))

  /** Throws WebAssembly.CompileError where SIMD is missing. */
  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
    const pages = Math.ceil((FIRST_PLACE + MAX_PLACES * PLACE_BYTES) / PAGE_BYTES)
    this.#memory = new webAssembly.Memory({ initial: pages, maximum: pages })
    this.#bytes = new Uint8Array(this.#memory.buffer)
    this.#pointers = new Uint32Array(this.#memory.buffer, CONTROL, LANES)
    this.#states = new Uint32Array(this.#memory.buffer, CONTROL + MD5_STATES, 4 * LANES)
    this.#kernels = compileMd5(this.#memory, CONTROL)
    this.#free = Array.from({ length: MAX_PLACES }, (_, index) => FIRST_PLACE + index * PLACE_BYTES)
    assert(CONTROL_BYTES <= FIRST_PLACE, 'what a run is told lies before the first place')
  }

  /** A new stream; undefined while there are as many as there is room for. */
  begin(): Md5Stream | undefined {
    const at = this.#free.pop()
    if (at === undefined) return undefined
    const state = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476)
    const place: Place = { at, state, filled: 0 }
    this.#active.add(place)
    const stream = new Md5Stream({
      take: (bytes) => this.#take(place, bytes),
      end: (totalBytes) => this.#end(place, totalBytes),
    })
    this.#abandoned.register(stream, place, place)
    return stream
  }

  #take(place: Place, bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const part = bytes.subarray(from, from + COLLECTED_BYTES - place.filled)
      this.#bytes.set(part, place.at + place.filled)
      place.filled += part.length
      from += part.length
      if (place.filled === COLLECTED_BYTES) this.#makeRoom(place)
    }
    if (place.filled >= ENOUGH_BYTES && this.#haveAllEnough()) this.#digestCommon()
  }

  #end(place: Place, totalBytes: number): Uint8Array {
    const paddedBytes =
      Math.ceil((place.filled + 9) / MD5_BLOCK_BYTES) * MD5_BLOCK_BYTES - place.filled
    const padding = Buffer.alloc(paddedBytes)
    padding[0] = 0x80
    padding.writeBigUInt64LE(BigInt(totalBytes) * 8n, paddedBytes - 8)
    this.#bytes.set(padding, place.at + place.filled)
    place.filled += paddedBytes
    this.#digestAll(this.#lanesWith(place))
    this.#abandoned.unregister(place)
    this.#letGo(place)
    const digest = Buffer.alloc(16)
    for (const [index, word] of place.state.entries()) digest.writeUInt32LE(word, 4 * index)
    return digest
  }

  /** The stream, and those that have collected most beside it. */
  #lanesWith(place: Place): Lane[] {
    const others = [...this.#active].filter((other) => other !== place && blocksOf(other) > 0)
    others.sort((left, right) => right.filled - left.filled)
    return [place, ...others.slice(0, LANES - 1)].map((lane) => ({ place: lane, done: 0 }))
  }

  #haveAllEnough(): boolean {
    if (this.#active.size > LANES) return false
    for (const { filled } of this.#active) if (filled < ENOUGH_BYTES) return false
    return true
  }

  /** Nobody has to come first, and little is left that would have to be moved. */
  #digestCommon(): void {
    this.#digestTogether([...this.#active].map((place) => ({ place, done: 0 })))
  }

  /** Digests of a full stream what it has in common with those that have much; else all of it. */
  #makeRoom(place: Place): void {
    const lanes = this.#lanesWith(place)
    const much = lanes.filter((lane) => leftOf(lane) >= ROOM_BLOCKS_LEAST)
    if (much.length < ROOM_LANES_LEAST) {
      this.#digestAll(lanes)
      return
    }
    this.#digestTogether(much)
  }

  /** Digests as much of each as all of them have. */
  #digestTogether(lanes: readonly Lane[]): void {
    this.#runLanes(lanes, Math.min(...lanes.map(leftOf)))
    for (const lane of lanes) this.#forget(lane)
  }

  /** Digests all blocks of the first lane, and as much of the others as fits beside them. */
  #digestAll(lanes: readonly Lane[]): void {
    for (let left = leftOf(lanes[0]!); left > 0; left = leftOf(lanes[0]!)) {
      const busy = lanes.filter((lane) => leftOf(lane) > 0)
      this.#runLanes(busy, Math.min(...busy.map(leftOf)))
    }
    for (const lane of lanes) this.#forget(lane)
  }

  #runLanes(busy: readonly Lane[], blocks: number): void {
    const count = busy.length
    if (count === 3) this.#runFaster(this.#ofThree, busy, blocks)
    else if (count === 4) this.#runFaster(this.#ofFour, busy, blocks)
    else this.#run(this.#kernels[count <= 1 ? 1 : count === 2 ? 2 : 8], busy, blocks)
  }

  #runFaster(ways: FasterWay, busy: readonly Lane[], blocks: number): void {
    // Of a few blocks nobody could tell what they cost.
    if (blocks < MEASURED_BLOCKS_LEAST) {
      this.#run(this.#kernels[4], busy, blocks)
      return
    }
    const way = ways.choose()
    const beginMs = this.#clock.monotonicMs()
    if (way === 0) this.#run(this.#kernels[4], busy, blocks)
    else if (busy.length === 3) this.#run(this.#kernels[3], busy, blocks)
    else this.#runByThrees(busy, blocks)
    ways.note(way, (this.#clock.monotonicMs() - beginMs) / blocks)
  }

  /** Four lanes by turns in which one of them rests: a processor has no registers for a fourth one. */
  #runByThrees(busy: readonly Lane[], blocks: number): void {
    const third = Math.floor(blocks / 3)
    for (const resting of busy) {
      const others = busy.filter((lane) => lane !== resting)
      this.#run(this.#kernels[3], others, third)
    }
    const left = blocks - 3 * third
    if (left > 0) this.#run(this.#kernels[4], busy, left)
  }

  #run({ lanes, run, stateAt }: Md5Kernel, busy: readonly Lane[], blocks: number): void {
    for (let lane = 0; lane < lanes; lane += 1) {
      // A lane without a stream does what the first one does, for nobody.
      const { place, done } = busy[lane] ?? busy[0]!
      this.#pointers[lane] = place.at + done * MD5_BLOCK_BYTES
      for (let word = 0; word < 4; word += 1) {
        this.#states[stateAt(lane, word)] = place.state[word]!
      }
    }
    run(CONTROL, blocks)
    for (const [lane, one] of busy.entries()) {
      const { place } = one
      one.done += blocks
      for (let word = 0; word < 4; word += 1) {
        place.state[word] = this.#states[stateAt(lane, word)]!
      }
    }
  }

  #forget({ place, done }: Lane): void {
    const bytes = done * MD5_BLOCK_BYTES
    this.#bytes.copyWithin(place.at, place.at + bytes, place.at + place.filled)
    place.filled -= bytes
  }

  #letGo(place: Place): void {
    if (this.#active.delete(place)) this.#free.push(place.at)
  }
}

/** One stream, with the shape of Digest. */
class Md5Stream {
  readonly #parts: { take(bytes: Uint8Array): void; end(totalBytes: number): Uint8Array }
  #totalBytes = 0
  #hasEnded = false

  constructor(parts: { take(bytes: Uint8Array): void; end(totalBytes: number): Uint8Array }) {
    this.#parts = parts
  }

  update(bytes: Uint8Array): void {
    assert(!this.#hasEnded, 'a digest takes no bytes after its end')
    this.#totalBytes += bytes.length
    this.#parts.take(bytes)
  }

  digest(): Uint8Array {
    assert(!this.#hasEnded, 'a digest ends once')
    this.#hasEnded = true
    return this.#parts.end(this.#totalBytes)
  }
}

function leftOf({ place, done }: Lane): number {
  return blocksOf(place) - done
}

function blocksOf({ filled }: Place): number {
  return Math.floor(filled / MD5_BLOCK_BYTES)
}
