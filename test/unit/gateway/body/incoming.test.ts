// Bodies that come slowly, by a clock that only the client's bytes move; and bodies that come faster than they are read.
import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { type IncomingOptions, readIncoming } from '../../../../src/gateway/body/incoming.ts'
import type { BodyReader } from '../../../../src/gateway/exchange.ts'
import type { GatewayRequest } from '../../../../src/gateway/node-http/gateway-request.ts'
import { NodeExchange, type NodeResponse } from '../../../../src/gateway/node-http/node-exchange.ts'
import { Deadlines } from '../../../../src/kit/deadlines.ts'
import { giveBack } from '../../../../src/kit/lent-bytes.ts'

/** A body whose chunks of 10 bytes are waited for so long, each; what is done with one takes a minute. */
async function read(waitsMs: number[], options: Partial<IncomingOptions>): Promise<number> {
  let nowMs = 0
  const ignore = (): void => {}
  let reader: BodyReader | undefined
  const source = {
    readBody: (given: BodyReader) => {
      reader = given
    },
    ...{ pauseBody: ignore, resumeBody: ignore, leaveBody: ignore },
  }
  const send = (index: number): void => {
    if (index === waitsMs.length) return void reader?.end(undefined)
    nowMs += waitsMs[index]!
    reader?.take(new Uint8Array(10))
    setImmediate(() => send(index + 1))
  }
  setImmediate(() => send(0))
  const clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: () => new Promise<void>(() => {}),
  }
  const ignored = { onStart: () => {}, onBytes: () => {} }
  let bytes = 0
  for await (const chunk of readIncoming(source, {
    clock,
    silence: new Deadlines(1_000, clock),
    ...ignored,
    ...{ bytesPerSecondMin: 1, ...options },
  })) {
    bytes += chunk.length
    nowMs += 60_000
  }
  return bytes
}

t.test('a body that trickles is given up, whoever reads it slowly', async (t) => {
  const bytesPerSecondMin = 100
  t.equal(await read([1_000, 0, 0], { bytesPerSecondMin }), 30, 'a slow start')
  t.equal(await read(new Array(50).fill(100), { bytesPerSecondMin }), 500, 'just fast enough')
  t.equal(await read(new Array(50).fill(900), {}), 500, 'where less is asked for')
  await t.rejects(read(new Array(50).fill(200), { bytesPerSecondMin }), { code: 'RequestTimeout' })
})

/** A request of which the test is the client. */
function openRequest() {
  const more = { complete: true, hasBody: true }
  const request = Object.assign(new PassThrough({ highWaterMark: 64 }), more)
  const response = Object.assign(new EventEmitter(), { socket: {} })
  const exchange = new NodeExchange(
    request as unknown as GatewayRequest,
    response as unknown as NodeResponse,
    false,
  )
  const clock = { now: () => 0, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) }
  const silence = new Deadlines(1_000, clock)
  const options = { clock, silence, bytesPerSecondMin: 1, onStart: () => {}, onBytes: () => {} }
  return { request, body: readIncoming(exchange, options) }
}

t.test('a client that is faster than its reader has to wait, and nothing is lost', async (t) => {
  const { request, body } = openRequest()
  const sent = Array.from({ length: 40 }, (_, index) => Buffer.alloc(50, index))
  let isHeldUp = false
  for (const chunk of sent) isHeldUp = !request.write(chunk) || isHeldUp
  request.end()
  const first = await body.next()
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  t.ok(isHeldUp)
  t.ok(request.readableLength > 0, 'most of it waits where it came from')
  const rest: Uint8Array[] = [first.value as Uint8Array]
  for await (const chunk of body) rest.push(chunk)
  t.same(Buffer.concat(rest), Buffer.concat(sent))
})

t.test('a body that breaks off is incomplete, after what came of it', async (t) => {
  const { request, body } = openRequest()
  request.write('abc')
  t.same((await body.next()).value, Buffer.from('abc'))
  request.destroy()
  await t.rejects(body.next(), { code: 'IncompleteBody' })
  const gone = openRequest()
  gone.request.destroy()
  await t.rejects(gone.body.next(), { code: 'IncompleteBody' })
})

t.test('who wants no more leaves the rest to others', async (t) => {
  const { request, body } = openRequest()
  request.write('abc')
  await body.next()
  await body.return(undefined)
  request.write('def')
  t.notOk(request.destroyed)
  const left: Buffer[] = []
  request.on('data', (chunk) => left.push(chunk))
  request.end('ghi')
  request.resume()
  await new Promise((resolve) => request.on('end', resolve))
  t.equal(Buffer.concat(left).toString(), 'defghi')
})

t.test('the memory of bytes that are given back is free at once', async (t) => {
  const { request, body } = openRequest()
  request.end(Buffer.allocUnsafeSlow(65_536).fill(3))
  const chunks: Uint8Array[] = []
  for await (const chunk of body) {
    t.ok(chunk.every((byte) => byte === 3))
    giveBack(chunk)
    chunks.push(chunk)
  }
  t.same(
    chunks.map(({ length }) => length),
    [0],
  )
})
