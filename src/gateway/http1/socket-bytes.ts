// Where the bytes of a socket are read to. Node reads into new memory each time and makes a stream of it, which costs more
// than the read. Here all connections read into one room, from which heads are taken at once, and a long body into memory that is lent.
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { kibibytes } from '../../kit/bytes.ts'
import { LentMemory, type LentSlot, lendOwn } from '../../kit/lent-bytes.ts'
import { ThreadedSocket } from '../../kit/threaded-socket.ts'

/** Bytes that were read. */
export interface Origin {
  /** Part of them for somebody to keep: a view that is lent, or a copy. */
  keep(bytes: Buffer, from: number, to: number): Uint8Array
}

/** Who takes what was read. */
export interface BytesTaker {
  /** Bytes from `start` up to `end`, which are others when it returns, but for what was kept. */
  take(bytes: Buffer, start: number, end: number, origin: Origin): void
  /** So much of a body is still to come. */
  readonly bodyBytesLeft: number
}

const READ_BYTES = kibibytes(64)
/** Less than this is copied: cheaper than a room of its own. */
export const LENT_BYTES_LEAST = kibibytes(16)

const shared = Buffer.allocUnsafeSlow(READ_BYTES)
/** Rooms of one read. */
export const lentMemory = new LentMemory({ slotBytes: READ_BYTES, maxSpare: 64 })

/** What passes: it is copied. */
export const PASSING: Origin = {
  keep: (bytes, from, to) => {
    const part = bytes.subarray(from, to)
    if (part.length < LENT_BYTES_LEAST || part.length > READ_BYTES) return Buffer.from(part)
    const slot = lentMemory.take()
    slot.bytes.set(part)
    return slot.lend(0, part.length)
  },
}

/** What nobody else has. */
const OWN: Origin = { keep: (bytes, from, to) => lendOwn(bytes.subarray(from, to)) }

/** How to read. */
export interface ReadOptions {
  asStream?: boolean
  /** What is made in place of what was accepted. */
  OwnSocket?: typeof Socket
}

/**
 * Reads what comes to a socket that has just been accepted, and paused, for the taker that is made for the socket to go on
 * with: another one, unless `asStream` or where Node does not have what that takes.
 */
export function readSocket(
  accepted: Socket,
  takerOf: (socket: Socket) => BytesTaker,
  { asStream = false, OwnSocket = ThreadedSocket }: ReadOptions = {},
): void {
  const handle = asStream ? undefined : handleOf(accepted)
  if (handle === undefined) {
    readStream(accepted, takerOf(accepted))
    return
  }
  const room = new ReadingRoom()
  const socket = moveToOwnBuffer(accepted, { handle, room, OwnSocket })
  const taker = takerOf(socket)
  room.taker = taker
  // A Node that has given that up would read what nobody hears of.
  if (!room.isAsked) readStream(socket, taker)
}

function readStream(socket: Socket, taker: BytesTaker): void {
  socket.on('data', (bytes: Buffer) => taker.take(bytes, 0, bytes.length, OWN))
  socket.resume()
}

/** Where one connection reads to. */
class ReadingRoom implements Origin {
  taker: BytesTaker | undefined
  /** Node wanted to know where to read to. */
  isAsked = false
  #slot: LentSlot | undefined
  #isLent = false

  /** Where the next read goes. */
  readonly buffer = (): Uint8Array => {
    this.isAsked = true
    const left = this.taker?.bodyBytesLeft ?? 0
    if (left < LENT_BYTES_LEAST) {
      this.release()
      return shared
    }
    if (this.#slot === undefined || this.#isLent) {
      this.#slot = lentMemory.take()
      this.#isLent = false
    }
    return this.#slot.bytes
  }

  readonly take = (count: number, buffer: Uint8Array): boolean => {
    const bytes = buffer as Buffer
    this.taker?.take(bytes, 0, count, this.#slot?.bytes === bytes ? this : PASSING)
    return true
  }

  /** Of one read at most one part is lent: the body, of which there is one. */
  keep(bytes: Buffer, from: number, to: number): Uint8Array {
    if (this.#slot === undefined || this.#isLent || to - from < LENT_BYTES_LEAST)
      return PASSING.keep(bytes, from, to)
    this.#isLent = true
    return this.#slot.lend(from, to)
  }

  release(): void {
    if (!this.#isLent) this.#slot?.release()
    this.#slot = undefined
    this.#isLent = false
  }
}

interface Handle {
  useUserBuffer?: unknown
}

/** What a socket of Node keeps for itself. */
interface Inside {
  _handle?: Handle | null
  _server?: unknown
  server?: unknown
}

function handleOf(socket: Socket): Handle | undefined {
  if (socket instanceof TLSSocket) return undefined
  const { _handle: handle, _server: server } = socket as unknown as Inside
  const isWhole = typeof handle?.useUserBuffer === 'function' && typeof server === 'object'
  return isWhole && handle !== null ? handle : undefined
}

/**
 * Node takes a buffer for reading (`onread`) when a socket is made, and makes those of a server itself: so another is made
 * on the same connection. The server counts that one now.
 */
function moveToOwnBuffer(
  accepted: Socket,
  { handle, room, OwnSocket }: { handle: Handle; room: ReadingRoom; OwnSocket: typeof Socket },
): Socket {
  const inside = accepted as unknown as Inside
  const server = inside._server
  inside._handle = null
  inside._server = null
  const options = {
    ...{ handle, allowHalfOpen: true, pauseOnCreate: false },
    writableHighWaterMark: accepted.writableHighWaterMark,
    onread: { buffer: room.buffer, callback: room.take },
  }
  const socket = new OwnSocket(options as ConstructorParameters<typeof Socket>[0])
  Object.assign(socket as unknown as Inside, { _server: server, server })
  socket.once('close', () => room.release())
  accepted.destroy()
  return socket
}
