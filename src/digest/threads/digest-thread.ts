// A thread that digests: streams in turn, a little of each, so that those which MD5 takes beside each other have all something there.
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { assert } from '../../kit/assert.ts'
import { kibibytes } from '../../kit/bytes.ts'
import { type Digest, newDigest, newLongMd5 } from '../digest.ts'
import { prepareDigests } from '../prepare.ts'
import {
  type FromThread,
  PORTIONS_THAT_URGE,
  STREAMS_THAT_WAIT,
  type ToThread,
} from './messages.ts'

/** Of each stream at a time: what one digest has brought into the cache the next one finds there. */
const TURN_BYTES = kibibytes(64)

/** Whoever sent them is told of so many portions at once: to wake him takes as long as to digest some KiB. */
const TAKEN_TOGETHER_MAX = 8

interface Stream {
  readonly digests: readonly Digest[]
  readonly queue: Uint8Array[]
  /** Bytes of the first in the queue that are digested. */
  done: number
  hasEnded: boolean
}

/** The streams of a thread. */
class Streams {
  readonly #streams = new Map<number, Stream>()
  readonly #port: MessagePort
  /** By their streams: portions that are done with, of which nobody was told. */
  #taken: number[] = []

  constructor(port: MessagePort) {
    this.#port = port
  }

  /** Hears messages, and all that have come by then, until nothing is left that is waited for. */
  hear(messages: readonly ToThread[]): void {
    for (const message of messages) this.#take(message)
    this.#takeAll()
    while (this.#isAwaited()) {
      this.#digestSome()
      this.#takeAll()
    }
    this.#tellTaken()
  }

  /**
   * Whether somebody waits for a stream, or soon will. What nobody waits for is left until then: MD5 of eight streams that have
   * bytes at the same time takes a fifth of what it takes of one after the other, as they would come.
   */
  #isAwaited(): boolean {
    const isEager = this.#streams.size < STREAMS_THAT_WAIT
    for (const { queue, hasEnded } of this.#streams.values()) {
      if (hasEnded || queue.length >= PORTIONS_THAT_URGE) return true
      if (isEager && queue.length > 0) return true
    }
    return false
  }

  #takeAll(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port)
      if (received === undefined) return
      for (const message of received.message as readonly ToThread[]) this.#take(message)
    }
  }

  #take(message: ToThread): void {
    const number = message.stream
    if (message.kind === 'begin') {
      const digests = message.names.map((name) => (name === 'MD5' ? newLongMd5() : newDigest(name)))
      this.#streams.set(number, { digests, queue: [], done: 0, hasEnded: false })
      return
    }
    const stream = this.#streams.get(number)
    assert(stream !== undefined, 'a stream is begun, and not yet over')
    if (message.kind === 'bytes') stream.queue.push(message.bytes)
    if (message.kind === 'end') stream.hasEnded = true
    if (message.kind === 'drop') this.#drop(number, stream)
  }

  /** A turn of every stream that has bytes. */
  #digestSome(): void {
    for (const [number, stream] of this.#streams) {
      const bytes = stream.queue[0]
      if (bytes !== undefined) this.#digestTurn(number, stream, bytes)
      else if (stream.hasEnded) this.#end(number, stream)
    }
  }

  #digestTurn(number: number, stream: Stream, bytes: Uint8Array): void {
    const part = bytes.subarray(stream.done, stream.done + TURN_BYTES)
    for (const digest of stream.digests) digest.update(part)
    stream.done += part.length
    if (stream.done < bytes.length) return
    stream.done = 0
    stream.queue.shift()
    this.#taken.push(number)
    if (this.#taken.length >= Math.min(TAKEN_TOGETHER_MAX, this.#streams.size)) this.#tellTaken()
  }

  #end(number: number, { digests }: Stream): void {
    this.#tellTaken()
    this.#streams.delete(number)
    this.#tell({ kind: 'done', stream: number, digests: digests.map((digest) => digest.digest()) })
  }

  #drop(number: number, { digests, queue }: Stream): void {
    this.#streams.delete(number)
    // Ended all the same: who is under way is counted.
    for (const digest of digests) digest.digest()
    for (const _ of queue) this.#taken.push(number)
    this.#tellTaken()
  }

  #tellTaken(): void {
    if (this.#taken.length === 0) return
    this.#tell({ kind: 'taken', streams: this.#taken })
    this.#taken = []
  }

  #tell(message: FromThread): void {
    this.#port.postMessage(message)
  }
}

assert(parentPort !== null, 'this is a thread')
const port = parentPort
const streams = new Streams(port)
await prepareDigests()
port.on('message', (messages: readonly ToThread[]) => streams.hear(messages))
port.postMessage({ kind: 'ready' } satisfies FromThread)
