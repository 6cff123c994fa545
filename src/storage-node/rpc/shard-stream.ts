// A shard on its way to another node, cell by cell: the stream behind a writer of remote-node.ts.
import { Readable } from 'node:stream'
import { assert } from '../../kit/assert.ts'
import { beforeDeadline } from '../../kit/before-deadline.ts'
import type { World } from '../../kit/world.ts'
import type { BegunExchange, ClientSession } from './client-session.ts'
import { FieldWriter } from './fields.ts'
import { FrameKind } from './frames.ts'
import { decodeFailure } from './messages.ts'
import { WRITE_SHARD_PATH } from './node-service.ts'
import type { AskedPeer } from './peer.ts'
import { BadMessage, NodeUnreachable } from './trouble.ts'

/** How long a stream is waited for. */
export interface StreamWaits {
  /** To be begun, and to be made durable, each. */
  stepMs: number
  /** For room on the way: a node that takes nothing for so long is given up. */
  stallMs: number
  /** Before each cell: who writes them may wait for a client. The node ends a stream that is silent for longer. */
  silenceMs: number
}

// One cell on the way while the next one is being made.
const BUFFER_BYTES = 192 * 1024

/** A promise that others settle; nobody has to wait for it. */
class Event {
  readonly promise: Promise<void>
  #settle: ((error?: unknown) => void) | undefined

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#settle = (error) => (error === undefined ? resolve() : reject(error))
    })
    this.promise.catch(() => {})
  }

  happen(error?: unknown): void {
    this.#settle?.(error)
  }
}

/** Where frames go. */
interface Way {
  exchange: BegunExchange
  session: ClientSession
  body: Readable
}

/** A stream under way. */
export class ShardStream {
  readonly #peer: AskedPeer
  readonly #waits: StreamWaits
  readonly #world: Pick<World, 'clock'>
  readonly #stop = new AbortController()
  readonly #begun = new Event()
  readonly #done = new Event()
  #room = new Event()
  #way: Way | undefined
  #trouble: unknown

  private constructor(peer: AskedPeer, waits: StreamWaits, world: Pick<World, 'clock'>) {
    this.#peer = peer
    this.#waits = waits
    this.#world = world
  }

  /** Resolves when the other node has begun the shard that `beginning` describes, with room kept for it. */
  static async open(
    peer: AskedPeer,
    beginning: Uint8Array,
    { waits, world }: { waits: StreamWaits; world: Pick<World, 'clock'> },
  ): Promise<ShardStream> {
    const stream = new ShardStream(peer, waits, world)
    void stream.#run(beginning)
    await stream.#wait(stream.#begun.promise, waits.stepMs)
    return stream
  }

  /** Sends a cell; its bytes may be reused when the promise resolves. */
  async write(cell: Uint8Array): Promise<void> {
    this.#push(FrameKind.Data, cell, this.#waits.silenceMs)
    await this.#wait(this.#room.promise, this.#waits.stallMs)
  }

  /** Resolves when the shard is durable there. */
  async commit(metadata: Uint8Array): Promise<void> {
    this.#push(FrameKind.Commit, metadata, this.#waits.stepMs)
    this.#way?.body.push(this.#way.exchange.writer.frame(FrameKind.End))
    this.#way?.body.push(null)
    await this.#wait(this.#done.promise, this.#waits.stepMs)
  }

  /** Breaks the stream off: what was written is thrown away there. */
  abort(): void {
    this.#fail(new NodeUnreachable('the stream was given up', 'unknown'))
  }

  #push(kind: number, bytes: Uint8Array, silenceMs: number): void {
    if (this.#trouble !== undefined) throw this.#trouble
    assert(this.#way !== undefined, 'a stream that was begun has a way')
    const { session, exchange, body } = this.#way
    const deadlineMs = session.theirMs(this.#peer.nowMs + silenceMs)
    const deadline = new FieldWriter().u64(deadlineMs).end()
    this.#room = new Event()
    if (body.push(exchange.writer.frame(kind, deadline, bytes))) this.#room.happen()
  }

  async #wait(event: Promise<void>, waitMs: number): Promise<void> {
    if (!(await beforeDeadline(event, waitMs, this.#world))) {
      this.#fail(new NodeUnreachable(`node ${this.#peer.to} was too slow`, 'unknown'))
    }
    await event
  }

  async #run(beginning: Uint8Array): Promise<void> {
    const { stepMs, silenceMs } = this.#waits
    const frames = this.#peer.stream({
      path: WRITE_SHARD_PATH,
      // Who waits for the beginning gives up by himself; the first cell puts this off as every other does.
      deadlineMs: this.#peer.nowMs + stepMs + silenceMs,
      begin: (exchange, session) => this.#begin(beginning, exchange, session),
      signal: this.#stop.signal,
    })
    try {
      for await (const frame of frames) {
        if (frame.kind === FrameKind.Failed) throw decodeFailure(frame.payload)
        else if (frame.kind === FrameKind.Begun) this.#begun.happen()
        else if (frame.kind === FrameKind.Done) this.#done.happen()
      }
      throw new BadMessage('the stream ended before its time')
    } catch (error) {
      this.#fail(error)
    }
  }

  #begin(beginning: Uint8Array, exchange: BegunExchange, session: ClientSession): Readable {
    const body = new Readable({
      highWaterMark: BUFFER_BYTES,
      read: () => this.#room.happen(),
    })
    // What destroys it is told by the exchange.
    body.on('error', () => undefined)
    this.#way = { exchange, session, body }
    body.push(exchange.writer.frame(FrameKind.Begin, beginning))
    return body
  }

  /** Everyone who waits is told; after the end of a stream nobody does. */
  #fail(error: unknown): void {
    this.#trouble ??= error
    for (const event of [this.#begun, this.#room, this.#done]) event.happen(error)
    this.#stop.abort()
  }
}
