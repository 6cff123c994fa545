// What a node holds for an asker that does not read: for a while, and no longer.
import { EventEmitter, once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Semaphore } from '../../../../src/kit/semaphore.ts'
import { Exchange } from '../../../../src/storage-node/rpc/exchange.ts'
import { FrameKind, FrameWriter } from '../../../../src/storage-node/rpc/frames.ts'

const KEYS = { request: Buffer.alloc(32, 'a'), answer: Buffer.alloc(32, 'b') }

/** A response of which the test says when something of it was read. */
class Unread extends EventEmitter {
  headersSent = true
  writableNeedDrain = false
  readonly bytes: Uint8Array[] = []
  readonly written: ((error?: Error) => void)[] = []

  write(bytes: Uint8Array, onSent: () => void): boolean {
    this.bytes.push(bytes)
    this.written.push(onSent)
    this.writableNeedDrain = true
    return false
  }

  /** Reads one write; the last one empties it. */
  readOne(): void {
    this.written.shift()!()
    if (this.written.length > 0) return
    this.writableNeedDrain = false
    this.emit('drain')
  }

  destroy(): void {
    this.emit('close')
  }
}

/** A request that brings `bytes`, and then what bring() is given. */
class Coming extends EventEmitter {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    super()
    this.#bytes = bytes
  }

  bring(bytes: Uint8Array): void {
    this.emit('more', bytes)
  }

  async *iterator(): AsyncGenerator<Uint8Array> {
    yield this.#bytes
    for (;;) yield (await once(this, 'more'))[0]
  }

  destroy(): void {
    this.emit('error', new Error('destroyed'))
  }
}

function openExchange(options: { bytes?: Uint8Array; places?: Semaphore } = {}) {
  const timers: { atMs: number; ring: () => void }[] = []
  let nowMs = 0
  const clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (ms: number) =>
      new Promise<void>((ring) => {
        timers.push({ atMs: nowMs + ms, ring })
      }),
  }
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms
    for (const timer of timers.splice(0)) {
      if (timer.atMs > nowMs) timers.push(timer)
      else timer.ring()
    }
    await turn()
  }
  const response = new Unread()
  const request = new Coming(options.bytes ?? Buffer.alloc(0))
  const places = options.places ?? new Semaphore(1)
  const room = {
    get isShort() {
      return places.waiting > 0
    },
    acquire: async (_bytes: number, signal?: AbortSignal): Promise<() => void> => {
      await places.acquire(1, signal)
      return () => places.release()
    },
  }
  const exchange = new Exchange(120_000, {
    request: request as unknown as IncomingMessage,
    response: response as unknown as ServerResponse,
    ...{ keys: KEYS, clock, room, payloadBytesMax: 1000 },
  })
  return { exchange, request, response, pass, timers }
}

t.test('an asker that does not read is broken off', async (t) => {
  const { exchange, pass } = openExchange()
  const sent = exchange.sendSoon(FrameKind.Answer, Buffer.alloc(100))
  const refused = t.rejects(sent, { name: 'NodeRefused', reason: 'late' })
  await turn()
  await pass(9_999)
  t.notOk(exchange.signal.aborted)
  await pass(1)
  t.ok(exchange.signal.aborted)
  await refused
})

t.test('an asker that reads, however slowly, is not', async (t) => {
  const { exchange, response, pass, timers } = openExchange()
  const sent = [1, 2, 3, 4].map(() => exchange.send(FrameKind.Answer, Buffer.alloc(100)))
  await turn()
  for (let count = 0; count < 4; count += 1) {
    response.readOne()
    await pass(10_000)
  }
  await Promise.all(sent)
  t.equal(timers.length, 1, 'only its deadline is waited for')
  const again = exchange.send(FrameKind.Answer, Buffer.alloc(100))
  await turn()
  await pass(9_999)
  response.readOne()
  await again
  await pass(60_000)
  t.notOk(exchange.signal.aborted)
})

t.test('who waits for room leaves with its exchange', async (t) => {
  const places = new Semaphore(1)
  await places.acquire()
  const bytes = new FrameWriter(KEYS.request).frame(FrameKind.Message, Buffer.alloc(10))
  const { exchange, response } = openExchange({ bytes, places })
  const next = t.rejects(exchange.frames.next(), { name: 'NodeRefused' })
  await turn()
  t.equal(places.waiting, 1)
  response.destroy()
  await next
  t.equal(places.waiting, 0)
})

t.test('half a frame does not keep others from the room of frames', async (t) => {
  const places = new Semaphore(1)
  const bytes = new FrameWriter(KEYS.request).frame(FrameKind.Message, Buffer.alloc(100))
  const { exchange, request, pass } = openExchange({ bytes: bytes.subarray(0, 50), places })
  const next = t.rejects(exchange.frames.next(), { message: 'destroyed' })
  await turn()
  await pass(10_000)
  await pass(10_000)
  t.notOk(exchange.signal.aborted, 'nobody waits for its room')
  request.bring(bytes.subarray(50, 51))
  await pass(1)
  const other = places.acquire()
  await pass(9_998)
  t.notOk(exchange.signal.aborted, 'some of it came')
  request.bring(bytes.subarray(51, 52))
  await pass(2)
  t.notOk(exchange.signal.aborted, 'it comes, however slowly')
  await pass(10_000)
  await pass(10_000)
  t.ok(exchange.signal.aborted)
  await next
  await other
})

t.test('a frame that is whole keeps its room for as long as somebody works on it', async (t) => {
  const places = new Semaphore(1)
  const writer = new FrameWriter(KEYS.request)
  const frames = [1, 2].map(() => writer.frame(FrameKind.Message, Buffer.alloc(100)))
  const { exchange, pass } = openExchange({ bytes: Buffer.concat(frames), places })
  const first = (await exchange.frames.next()).value!
  const second = exchange.frames.next()
  await turn()
  t.equal(places.waiting, 1)
  await pass(10_000)
  await pass(10_000)
  t.notOk(exchange.signal.aborted)
  first.done()
  t.equal((await second).value!.payload.length, 100)
  exchange.breakOff()
})

t.test('memory of a long answer is lent again when it was sent, and not before', async (t) => {
  const { exchange, response } = openExchange()
  const cell = Buffer.alloc(131_072, 1)
  const send = async (): Promise<Uint8Array> => {
    exchange.send(FrameKind.Data, cell).catch(() => undefined) // Broken off at the end.
    return response.bytes.at(-1)!
  }
  const first = await send()
  const before = Buffer.from(first)
  const second = await send()
  t.not(second.buffer, first.buffer, 'it is on its way still')
  t.same(Buffer.from(first), before)
  response.written[0]!()
  const third = await send()
  t.equal(third.buffer, first.buffer)
  response.written[1]!(new Error('the connection is gone'))
  t.not((await send()).buffer, second.buffer, 'nobody says that it was left alone')
  exchange.breakOff()
})

t.test(
  'answers of one moment: short ones leave in one piece, long ones are not copied',
  async (t) => {
    const { exchange, response } = openExchange()
    const send = (bytes: number): void => {
      exchange.sendSoon(FrameKind.Answer, Buffer.alloc(bytes)).catch(() => undefined)
    }
    for (const bytes of [10, 20, 131_072, 30, 131_072]) send(bytes)
    while (response.bytes.length === 0) await turn()
    const overhead = 24
    t.same(
      response.bytes.map(({ length }) => length),
      [30 + 2 * overhead, 131_072 + overhead, 30 + overhead, 131_072 + overhead],
    )
    exchange.breakOff()
  },
)
