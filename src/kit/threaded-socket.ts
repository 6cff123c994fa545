// A socket whose long writes are made by a thread of Node's pool. To copy bytes into the system and take them through TCP is
// more than half of what a thread does that serves long replies, and it can do something else meanwhile (decision 40).
import { writev } from 'node:fs'
import { Socket } from 'node:net'
import { kibibytes } from './bytes.ts'
import { BUFFERS_MAX, dropBytes } from './file-bytes.ts'

/** Below that the way to a thread and back costs more than the write. */
const LONG_BYTES = kibibytes(256)

/** So many at a time, of all sockets: the pool's threads are there for drives. What comes beyond them is written where it is. */
const WRITES_MAX = 16

let writesUnderWay = 0

/** As a stream hands them to who writes them. */
interface WrittenChunk {
  chunk: Uint8Array | string
  encoding: BufferEncoding
}

type Written = (error?: Error | null) => void

/** A TCP socket without TLS. */
export class ThreadedSocket extends Socket {
  /** While a thread writes to the number of this socket, that must not become another's: it is not closed. */
  #isLent = false
  #whenGivenBack: (() => void) | undefined

  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, done: Written): void {
    const isLong = typeof chunk !== 'string' && chunk.length >= LONG_BYTES
    if (!isLong || !this.#writeByThread([chunk], done)) super._write(chunk, encoding, done)
  }

  override _writev(chunks: WrittenChunk[], done: Written): void {
    if (!isLong(chunks) || !this.#writeByThread(chunks.map(bytesOf), done))
      super._writev!(chunks, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isLent) {
      super._destroy(error, done)
      return
    }
    this.#whenGivenBack = () => super._destroy(error, done)
    // Node takes bytes that come to a socket that is destroyed, and not closed, for an error that has no name, and ends the process.
    stopReading(this)
  }

  /** False where it has to be written here. */
  #writeByThread(buffers: readonly Uint8Array[], done: Written): boolean {
    const descriptor = descriptorOf(this)
    if (descriptor === undefined || writesUnderWay >= WRITES_MAX || buffers.length > BUFFERS_MAX)
      return false
    writev(descriptor, buffers, (error, count) => {
      writesUnderWay -= 1
      this.#isLent = false
      try {
        this.#goOn(buffers, { error, count }, done)
      } finally {
        this.#giveBack()
      }
    })
    // Behind it: had it thrown, nobody would give back.
    this.#isLent = true
    writesUnderWay += 1
    return true
  }

  /** Not while the next write is on its way: that may have begun meanwhile. */
  #giveBack(): void {
    if (this.#isLent) return
    const whenGivenBack = this.#whenGivenBack
    this.#whenGivenBack = undefined
    whenGivenBack?.()
  }

  /** The system takes what it has room for, and nothing (EAGAIN) where it has none. The rest goes the usual way, which waits for room. */
  #goOn(
    buffers: readonly Uint8Array[],
    { error, count }: { error: NodeJS.ErrnoException | null; count: number },
    done: Written,
  ): void {
    if (error !== null && error.code !== 'EAGAIN') {
      done(error)
      return
    }
    // A write is a sign of life, as those are that Node makes.
    if (this.timeout) this.setTimeout(this.timeout)
    const rest = error === null ? dropBytes(buffers, count) : buffers
    if (rest.length === 0) done()
    else if (this.destroyed) done(new Error('the socket was destroyed'))
    else
      super._writev!(
        rest.map((chunk) => ({ chunk, encoding: 'latin1' })),
        done,
      )
  }
}

function isLong(chunks: readonly WrittenChunk[]): boolean {
  let bytes = 0
  for (const { chunk } of chunks) bytes += chunk.length
  return bytes >= LONG_BYTES
}

function bytesOf({ chunk, encoding }: WrittenChunk): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}

/** What Node has of the system. It does not document it: without it everything is written as ever. */
interface SocketInside {
  _handle?: { fd?: unknown; readStop?: () => unknown } | null
}

/** The number that the system knows it by. */
function descriptorOf(socket: Socket): number | undefined {
  const descriptor = (socket as unknown as SocketInside)._handle?.fd
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined
}

function stopReading(socket: Socket): void {
  const handle = (socket as unknown as SocketInside)._handle
  handle?.readStop?.()
}
