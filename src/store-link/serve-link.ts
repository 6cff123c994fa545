// The end of the link at the process that has the store: what a worker asks becomes calls of the store.
import type { Duplex } from 'node:stream'
import type { AdminApi } from '../gateway/admin-api.ts'
import { oneChunk } from '../kit/bytes.ts'
import { collect } from '../kit/lent-bytes.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type {
  Body,
  BodyDigests,
  Bucket,
  CustomerKey,
  StoredObject,
  Waiter,
} from '../objects/object-store.ts'
import type { Objects } from '../objects/objects.ts'
import type { BucketNews } from './bucket-news.ts'
import {
  ADMIN_CALLS,
  BODY_CALLS,
  type BodyRequest,
  BUCKET_CALLS,
  type Call,
  DRIVE_CALLS,
  EAGER_BYTES,
  type ObjectRef,
  PLAIN_CALLS,
  type Welcome,
} from './calls.ts'
import { Channel, type ChannelListener, readValueAndBytes } from './channel.ts'
import { Credit, Inflow, WINDOW_BYTES, type Windows } from './flow.ts'
import { FrameKind } from './frames.ts'
import type { ObjectNews } from './object-news.ts'
import { tellError } from './told-error.ts'
import { readValue } from './values.ts'

/** What a worker may ask for. News and windows are the same for all workers; kill() is for this one. */
export interface ServedParts {
  objects: Objects
  admin: AdminApi
  credentials: Welcome['credentials']
  news: BucketNews
  objectNews: ObjectNews
  /** Ends the process of the worker. */
  kill(): void
  /** Of the bodies that all workers send. */
  windows: Windows
  log: Log
  world: Pick<World, 'clock'>
}

/** A call under way. Its signal is made when somebody asks for it, which short bodies do not. */
class UnderWay implements Waiter {
  readonly id: number
  /** Of the body that comes. */
  inflow?: Inflow
  /** What that has of the windows. */
  windowBytes?: number
  digests?: BodyDigests
  /** The body, where it came with the call. */
  readonly whole: Uint8Array | undefined
  /** For bytes that are read. */
  credit?: Credit
  #abort: AbortController | undefined
  #reason: Error | undefined

  constructor(id: number, whole: Uint8Array | undefined) {
    this.id = id
    this.whole = whole
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#reason !== undefined) this.#abort.abort(this.#reason)
    }
    return this.#abort.signal
  }

  giveUp(reason: Error): void {
    this.#reason ??= reason
    this.#abort?.abort(reason)
    this.inflow?.fail(reason)
    this.credit?.end(reason)
  }
}

type Run = (call: UnderWay, args: readonly unknown[]) => Promise<unknown>

/** Serves one worker until its end of the link is gone. */
export class LinkServer {
  readonly #parts: ServedParts
  readonly #channel: Channel
  readonly #underWay = new Map<number, UnderWay>()
  readonly #calls: ReadonlyMap<string, Run>

  constructor(stream: Duplex, parts: ServedParts) {
    this.#parts = parts
    this.#calls = this.#tableOfCalls()
    const listener: ChannelListener = {
      onFrame: (kind, id, payload) => this.#take(kind, id, payload),
      onBytes: (id, bytes) => this.#underWay.get(id)?.inflow?.push(bytes),
      onEnd: () => this.#end(),
    }
    this.#channel = new Channel(stream, listener, parts.world)
  }

  /** Before it says so a worker reads nothing: nobody's change of a bucket waits for one that is still being started. */
  #welcome(): void {
    const { credentials, objects, news, objectNews } = this.#parts
    const welcome: Welcome = { credentials, buckets: objects.listBuckets() }
    this.#channel.send(FrameKind.Welcome, 0, welcome)
    const kill = (): void => this.#parts.kill()
    news.join(this.#channel, kill)
    objectNews.join(this.#channel, kill)
  }

  #take(kind: number, id: number, payload: Buffer): void {
    if (kind === FrameKind.Hello) {
      this.#welcome()
      return
    }
    if (kind === FrameKind.Call) {
      const call = readValue(payload) as Call
      if (!this.#answerAtHand(id, call)) void this.#run(id, call)
      return
    }
    if (kind === FrameKind.CallWithBody) {
      const { value, bytes } = readValueAndBytes(payload)
      void this.#run(id, value as Call, bytes)
      return
    }
    if (kind === FrameKind.Forgotten) {
      this.#parts.objectNews.heard(this.#channel)
      return
    }
    if (kind === FrameKind.BucketsHeard) {
      this.#parts.news.heard(this.#channel, id)
      return
    }
    const call = this.#underWay.get(id)
    // It has ended while this was on its way.
    if (call === undefined) return
    switch (kind) {
      case FrameKind.Abort:
        call.giveUp(new AskerGone())
        return
      case FrameKind.BodyEnd:
        call.digests = readValue(payload) as BodyDigests
        call.inflow?.end()
        return
      case FrameKind.BodyBroken:
        call.inflow?.fail(new BodyBroken())
        return
      case FrameKind.More:
        call.credit?.give(readValue(payload) as number)
    }
  }

  #end(): void {
    this.#parts.news.leave(this.#channel)
    this.#parts.objectNews.leave(this.#channel)
    for (const call of this.#underWay.values()) call.giveUp(new AskerGone())
  }

  /** A latest version that is known here, and that the worker keeps: nothing may come between the two. */
  #answerAtHand(id: number, { name, args }: Call): boolean {
    if (name !== 'find' || args[2] !== undefined) return false
    const [bucket, key] = args as [Bucket, string]
    try {
      const object = this.#parts.objectNews.keep(this.#channel, bucket, key)
      if (object === undefined) return false
      const { version } = object
      const bytes = shortAtHand(object)
      const kept = { kind: 'kept', version }
      if (bytes === undefined) this.#channel.send(FrameKind.Done, id, kept)
      else this.#channel.sendWithBytes(FrameKind.DoneWithBytes, id, kept, bytes)
      return true
    } catch {
      return false // A row that can not be read: who asks for it in earnest hears why.
    }
  }

  /** Never rejects. */
  async #run(id: number, asked: Call, whole?: Uint8Array): Promise<void> {
    const call = new UnderWay(id, whole)
    this.#underWay.set(id, call)
    const { kind, value } = await this.#outcomeOf(call, asked)
    if (call.windowBytes !== undefined) this.#parts.windows.close(call.windowBytes)
    // It may tell what some worker has not heard.
    const hearing = this.#parts.objectNews.settled(asked)
    if (hearing !== undefined) await hearing
    this.#underWay.delete(id)
    try {
      if (value instanceof Uint8Array) this.#channel.sendWhole(FrameKind.DoneBytes, id, value)
      else this.#channel.send(kind, id, value)
    } catch (error) {
      this.#channel.send(FrameKind.Failed, id, tellError(error))
    }
  }

  async #outcomeOf(
    call: UnderWay,
    { name, args }: Call,
  ): Promise<{ kind: number; value: unknown }> {
    try {
      const run = this.#calls.get(name)
      if (run === undefined) throw new Error(`a worker asked for ${name}`)
      return { kind: FrameKind.Done, value: await run(call, args) }
    } catch (error) {
      return { kind: FrameKind.Failed, value: tellError(error) }
    }
  }

  #tableOfCalls(): Map<string, Run> {
    const { objects, admin, news } = this.#parts
    const calls = new Map<string, Run>()
    for (const name of PLAIN_CALLS) {
      const operation = (objects[name] as (...args: unknown[]) => Promise<unknown>).bind(objects)
      calls.set(name, async (_call, args) => {
        const answer = await operation(...args)
        if (BUCKET_CALLS.has(name)) await news.settled()
        return answer
      })
    }
    for (const name of BODY_CALLS) {
      const operation = (objects[name] as (request: unknown) => Promise<unknown>).bind(objects)
      calls.set(name, (call, [asked]) =>
        operation(this.#requestOf(call, asked as BodyRequest)).finally(() => call.inflow?.end()),
      )
    }
    for (const name of ADMIN_CALLS) {
      const operation = (admin[name] as (...args: unknown[]) => unknown).bind(admin)
      calls.set(`admin ${name}`, async ({ signal }, args) => operation(...args, signal))
    }
    for (const name of DRIVE_CALLS) {
      const operation = (admin.drives[name] as (...args: unknown[]) => Promise<unknown>).bind(
        admin.drives,
      )
      calls.set(`drives ${name}`, (_call, args) => operation(...args))
    }
    calls.set('deleteMany', ({ signal }, args) => {
      const [bucket, keys, options] = args as Parameters<Objects['deleteMany']>
      return objects.deleteMany(bucket, keys, options, signal)
    })
    calls.set('find', async (_call, args) => {
      const found = await objects.find(...(args as Parameters<Objects['find']>))
      return found.kind === 'found' ? { kind: 'found', version: found.object.version } : found
    })
    return this.#addObjectCalls(calls)
  }

  /** Of objects that were found before: they are made again of what the worker was told then. */
  #addObjectCalls(calls: Map<string, Run>): Map<string, Run> {
    const add = (
      name: string,
      run: (object: StoredObject, args: readonly never[], call: UnderWay) => Promise<unknown>,
    ): void => {
      calls.set(`object ${name}`, async (call, [ref, ...args]) =>
        run(this.#objectOf(ref as ObjectRef), args as never[], call),
      )
    }
    add('findPart', (object, [number]) => object.findPart(number!))
    add('isUnchanged', (object) => object.isUnchanged())
    add('listAnnotations', (object, [scan]) => object.listAnnotations(scan!))
    add('listParts', (object, [after, limit]) => object.listParts(after!, limit!))
    add('findAnnotation', (object, [name]) => object.findAnnotation(name!))
    add('read', (object, [range, customerKey], call) => {
      const key = customerKey as CustomerKey | undefined
      return this.#sendAll(call, object.read(range!, call, key))
    })
    add('readShort', async (object, [range, customerKey], call) => {
      const key = customerKey as CustomerKey | undefined
      const { first, last } = range!
      const atHand = object.readAtHand?.(range!)
      return atHand ?? collect(object.read(range!, call, key), last - first + 1)
    })
    add('readAnnotation', (object, [annotation], call) =>
      this.#sendAll(call, object.readAnnotation(annotation!, call.signal)),
    )
    return calls
  }

  #objectOf({ bucket, key, version }: ObjectRef): StoredObject {
    return this.#parts.objects.reopen(bucket, key, version)
  }

  #requestOf(call: UnderWay, asked: BodyRequest): unknown {
    const { request, annotationsOf } = asked
    return {
      ...request,
      ...(annotationsOf ? { annotationsOf: this.#objectOf(annotationsOf) } : {}),
      body: this.#bodyOf(call, asked),
      get signal() {
        return call.signal
      },
    }
  }

  #bodyOf(call: UnderWay, { bytes, digests }: BodyRequest): Body {
    const { whole } = call
    if (whole !== undefined && digests !== undefined)
      return { bytes, chunks: oneChunk(whole), finish: () => digests }
    const inflow = new Inflow(this.#windowFor(call, bytes), (more) =>
      this.#channel.send(FrameKind.More, call.id, more),
    )
    call.inflow = inflow
    const finish = (): BodyDigests => {
      // The chunks end with them.
      if (call.digests === undefined) throw new BodyBroken()
      return call.digests
    }
    return { bytes, chunks: inflow, finish }
  }

  #windowFor(call: UnderWay, bytes: number): { windowBytes: number; credit: number } {
    call.windowBytes = this.#parts.windows.open(bytes)
    return { windowBytes: call.windowBytes, credit: 0 }
  }

  async #sendAll(call: UnderWay, chunks: AsyncIterable<Uint8Array>): Promise<undefined> {
    const credit = new Credit(WINDOW_BYTES)
    call.credit = credit
    for await (const chunk of chunks) {
      await this.#channel.passBytes(call.id, chunk, (bytes) => credit.take(bytes))
    }
    return undefined
  }
}

/** All bytes of a short object that is read again and again: by clients of one worker as by those of another. */
function shortAtHand(object: StoredObject): Uint8Array | undefined {
  const { bytes } = object.version
  const isShort = bytes > 0 && bytes <= EAGER_BYTES
  return isShort ? object.readAtHand?.({ first: 0, last: bytes - 1 }) : undefined
}

/** Nobody waits for it: the client or the worker has gone. */
class AskerGone extends Error {
  override readonly name = 'AskerGone'
  readonly code = 'ASKER_GONE'
}

/** The worker knows what was wrong with the body, and says so to the client. */
class BodyBroken extends Error {
  override readonly name = 'BodyBroken'
  readonly code = 'BODY_BROKEN'
}
