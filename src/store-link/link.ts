// A worker's end of the link: calls go out, answers come back, and bytes pass both ways.
import type { Duplex } from 'node:stream'
import { assert } from '../kit/assert.ts'
import { collect, giveBack } from '../kit/lent-bytes.ts'
import type { Clock } from '../kit/world.ts'
import type { Body, Bucket, StoredObject } from '../objects/object-store.ts'
import { type BodyCall, type BodyRequest, type Call, EAGER_BYTES, type Welcome } from './calls.ts'
import { Channel, type ChannelListener, readValueAndBytes } from './channel.ts'
import { Credit, Inflow, WINDOW_BYTES } from './flow.ts'
import { FrameKind } from './frames.ts'
import type { LinkMemory } from './link-memory.ts'
import { refOfObject } from './linked-object.ts'
import { hearError, type ToldError } from './told-error.ts'
import { readValue } from './values.ts'

type Take = (answer: unknown, bytes?: Uint8Array) => unknown

/** A call under way. */
interface UnderWay {
  id: number
  resolve(answer: unknown): void
  reject(error: Error): void
  /** What becomes of the answer, in the order of what the store says. */
  take?: Take
  inflow?: Inflow
  credit?: Credit
}

/** What is asked with a body. */
export type BodyArguments = {
  body: Body
  signal: AbortSignal
  annotationsOf?: StoredObject
} & Record<string, unknown>

/** Asks over the link. */
export class Link {
  readonly #channel: Channel
  readonly #underWay = new Map<number, UnderWay>()
  #buckets = new Map<string, Bucket>()
  #calls = 0
  #isOver = false

  constructor(
    stream: Duplex,
    heard: {
      onWelcome(credentials: Welcome['credentials']): void
      /** Nothing is to be kept of these objects. */
      onForget(names: readonly string[]): void
      onEnd(): void
      memory?: LinkMemory
      clock: Clock
    },
  ) {
    const listener: ChannelListener = {
      onFrame: (kind, id, payload) => {
        if (kind === FrameKind.Welcome) {
          const { credentials, buckets } = readValue(payload) as Welcome
          this.#know(buckets)
          heard.onWelcome(credentials)
        } else if (kind === FrameKind.Forget) {
          heard.onForget(readValue(payload) as string[])
          this.#channel.send(FrameKind.Forgotten, 0)
        } else this.#take(kind, id, payload)
      },
      onBytes: (id, bytes) => this.#underWay.get(id)?.inflow?.push(bytes),
      onEnd: () => {
        this.#end()
        heard.onEnd()
      },
    }
    this.#channel = new Channel(stream, listener, heard)
    this.#channel.send(FrameKind.Hello, 0)
  }

  /** All buckets, in order of name. */
  get buckets(): ReadonlyMap<string, Bucket> {
    return this.#buckets
  }

  /** Asks something whose answer is a plain value. */
  ask(name: string, args: readonly unknown[], signal?: AbortSignal): Promise<unknown> {
    return this.#call(name, args, signal).answer
  }

  /** Likewise; `take` gets the answer before anything else is heard that the store said later. */
  askInOrder(name: string, args: readonly unknown[], take: Take): Promise<unknown> {
    return this.#call(name, args, undefined, { take }).answer
  }

  /** Asks something that takes a body. Rejects with what was wrong with the body, if something was. */
  askWithBody(name: BodyCall, asked: BodyArguments): Promise<unknown> {
    return asked.body.bytes <= EAGER_BYTES
      ? this.#askWithWhole(name, asked)
      : this.#askWithStream(name, asked)
  }

  /** Whoever goes away when all of it is there wanted it done: as in one process, where a short body asks for no signal. */
  async #askWithWhole(name: BodyCall, asked: BodyArguments): Promise<unknown> {
    // No more than came: so the store sees where that is less than was said.
    const bytes = await collect(asked.body.chunks, asked.body.bytes)
    const request = { ...bodyRequest(asked), digests: asked.body.finish() }
    return await this.#call(name, [request], undefined, { bytes }).answer
  }

  async #askWithStream(name: BodyCall, asked: BodyArguments): Promise<unknown> {
    const credit = new Credit(0)
    const { call, answer } = this.#call(name, [bodyRequest(asked)], asked.signal, { credit })
    let trouble: unknown
    const isSettled = { now: false }
    const settle = (): void => {
      isSettled.now = true
      credit.end(NOT_ASKED)
    }
    // What it rejects with is heard below.
    answer.then(settle, settle)
    this.#sendBody(call.id, asked.body, credit).catch((error) => {
      if (isSettled.now) return
      trouble = error
      this.#channel.send(FrameKind.BodyBroken, call.id)
    })
    try {
      return await answer
    } catch (error) {
      throw trouble ?? error
    }
  }

  /** Few bytes, which come whole: as many as are asked for. They may be lent. */
  async *readShort(
    name: string,
    args: readonly unknown[],
    bytes: number,
  ): AsyncGenerator<Uint8Array> {
    const whole = (await this.ask(name, args)) as Uint8Array
    assert(whole.length === bytes, 'what is read has the length of its range')
    yield whole
  }

  /** Bytes as they come. */
  async *read(
    name: string,
    args: readonly unknown[],
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let id = 0
    const inflow = new Inflow({ windowBytes: WINDOW_BYTES, credit: WINDOW_BYTES }, (more) =>
      this.#channel.send(FrameKind.More, id, more),
    )
    const { call, answer } = this.#call(name, args, signal, { inflow })
    id = call.id
    answer.then(
      () => inflow.end(),
      (error) => inflow.fail(error),
    )
    try {
      yield* inflow
    } finally {
      // Whoever does not read on wants none of the rest.
      if (this.#underWay.has(id)) this.#channel.send(FrameKind.Abort, id)
    }
  }

  #call(
    name: string,
    args: readonly unknown[],
    signal?: AbortSignal,
    { bytes, ...more }: Pick<UnderWay, 'inflow' | 'credit' | 'take'> & { bytes?: Uint8Array } = {},
  ): { call: UnderWay; answer: Promise<unknown> } {
    this.#calls = (this.#calls + 1) % 2 ** 32
    const id = this.#calls
    let call!: UnderWay
    const answer = new Promise((resolve, reject) => {
      call = { id, resolve, reject, ...more }
    })
    if (this.#isOver) call.reject(new LinkBroken())
    else if (signal?.aborted) call.reject(signal.reason as Error)
    else {
      this.#underWay.set(id, call)
      const asked: Call = { name, args: withoutLast(args) }
      if (bytes === undefined) this.#channel.send(FrameKind.Call, id, asked)
      else this.#channel.sendWithBytes(FrameKind.CallWithBody, id, asked, bytes)
      if (signal) this.#abortWith(signal, id, answer)
    }
    return { call, answer }
  }

  #abortWith(signal: AbortSignal, id: number, answer: Promise<unknown>): void {
    const abort = (): void => this.#channel.send(FrameKind.Abort, id)
    signal.addEventListener('abort', abort, { once: true })
    const end = (): void => signal.removeEventListener('abort', abort)
    // What it rejects with is heard by who asked.
    answer.then(end, end)
  }

  async #sendBody(id: number, body: Body, credit: Credit): Promise<void> {
    // It is not begun before the store wants it: it may refuse it as it is.
    await credit.take(0)
    for await (const chunk of body.chunks) {
      await this.#channel.sendBytes(id, chunk, (bytes) => credit.take(bytes))
      giveBack(chunk)
    }
    this.#channel.send(FrameKind.BodyEnd, id, body.finish())
  }

  #take(kind: number, id: number, payload: Buffer): void {
    if (kind === FrameKind.Buckets) {
      this.#know(readValue(payload) as Bucket[])
      this.#channel.send(FrameKind.BucketsHeard, id)
      return
    }
    const call = this.#underWay.get(id)
    if (call === undefined) return
    switch (kind) {
      case FrameKind.More:
        call.credit?.give(readValue(payload) as number)
        return
      case FrameKind.Done:
        this.#underWay.delete(id)
        call.resolve(call.take ? call.take(readValue(payload)) : readValue(payload))
        return
      case FrameKind.DoneBytes:
        this.#underWay.delete(id)
        call.resolve(payload)
        return
      case FrameKind.DoneWithBytes: {
        this.#underWay.delete(id)
        const { value, bytes } = readValueAndBytes(payload)
        call.resolve(call.take ? call.take(value, bytes) : value)
        return
      }
      case FrameKind.Failed:
        this.#underWay.delete(id)
        call.reject(hearError(readValue(payload) as ToldError))
    }
  }

  #know(buckets: readonly Bucket[]): void {
    this.#buckets = new Map(buckets.map((bucket) => [bucket.name, bucket]))
  }

  #end(): void {
    this.#isOver = true
    for (const { reject } of this.#underWay.values()) reject(new LinkBroken())
    this.#underWay.clear()
  }
}

/** Body and signal stay here, and a signal that is yet to be made is not made for it. */
function bodyRequest({ annotationsOf, body, ...request }: BodyArguments): BodyRequest {
  delete (request as Partial<BodyArguments>).signal
  return {
    ...{ request, bytes: body.bytes },
    ...(annotationsOf ? { annotationsOf: refOfObject(annotationsOf) } : {}),
  }
}

/** What is not there, at the end, need not be said. */
function withoutLast(args: readonly unknown[]): readonly unknown[] {
  return args.at(-1) === undefined ? args.slice(0, -1) : args
}

const NOT_ASKED = new Error('the store does not ask for the rest of a body')

/** The process that has the drives is gone: what was asked of it may have been done. */
export class LinkBroken extends Error {
  override readonly name = 'LinkBroken'
  readonly code = 'METADATA_UNAVAILABLE'
}
