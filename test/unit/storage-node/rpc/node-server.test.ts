// What comes to a node's port on bare sockets, from strangers and from those who can not keep to the protocol.
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { realWorld } from '../../../../src/kit/world.ts'
import {
  type BegunExchange,
  type ClientSession,
  ClientSessions,
} from '../../../../src/storage-node/rpc/client-session.ts'
import {
  FRAME_OVERHEAD_BYTES,
  type Frame,
  FrameKind,
  readFrames,
} from '../../../../src/storage-node/rpc/frames.ts'
import {
  decodeAnswer,
  decodeFailure,
  encodeMessage,
} from '../../../../src/storage-node/rpc/messages.ts'
import type { ServerLimits } from '../../../../src/storage-node/rpc/node-server.ts'
import {
  MESSAGES_PATH,
  type MessageHandler,
  type RequestContext,
} from '../../../../src/storage-node/rpc/node-service.ts'
import { HELLO_PATH } from '../../../../src/storage-node/rpc/session-format.ts'
import { identityOf, openPeer, startNode } from '../../../support/node-pair.ts'

const { clock } = realWorld()
const ECHO = 32

interface Node {
  port: number
  /** What was asked for and begun. */
  done: string[]
  session: ClientSession
}

/** A node that answers messages with their own bytes, and notes that it did. */
async function openNode(
  t: Test,
  limits: Partial<ServerLimits> = {},
  handler?: MessageHandler,
): Promise<Node> {
  const done: string[] = []
  const echo = async (body: Uint8Array): Promise<Uint8Array> => {
    done.push(Buffer.from(body).toString())
    return body
  }
  const service = { messages: new Map([[ECHO, handler ?? echo]]), streams: new Map() }
  const { port } = await startNode(t, service, { limits })
  const options = { identity: identityOf('g1'), to: 'n1', payloadBytesMax: 10_000 }
  const sessions = new ClientSessions(options, realWorld(), (headers) => hello(port, headers))
  return { port, done, session: await sessions.get() }
}

async function hello(port: number, headers: Record<string, string>): Promise<IncomingHttpHeaders> {
  const sent = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: HELLO_PATH, headers })
  sent.end()
  const [response] = await once(sent, 'response')
  response.resume()
  return response.headers
}

/** Sends bytes and gives all that comes back until the node closes the connection. */
async function send(
  port: number,
  bytes: readonly Uint8Array[],
  options: { isLeftOpen?: boolean } = {},
): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1')
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  socket.on('error', () => undefined)
  for (const part of bytes) socket.write(part)
  if (!options.isLeftOpen) socket.end()
  await once(socket, 'close')
  return Buffer.concat(parts)
}

function head(headers: Record<string, string>, length: number, path = MESSAGES_PATH): Buffer {
  const lines = Object.entries({ ...headers, 'content-length': String(length) })
  const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.from(`POST ${path} HTTP/1.1\r\nhost: n1\r\nconnection: close\r\n${text}\r\n`)
}

function message(
  text: string,
  { session, type }: { session: ClientSession; type?: number },
): Buffer {
  const deadlineMs = session.theirMs(clock.monotonicMs() + 60_000)
  return encodeMessage({ id: 0, type: type ?? ECHO, deadlineMs, body: Buffer.from(text) })
}

/** A request with one message, as it should be. */
function good(
  node: Node,
  text: string,
): { exchange: BegunExchange; body: Buffer; bytes: Buffer[] } {
  const exchange = node.session.begin(MESSAGES_PATH, clock.monotonicMs() + 60_000)
  const body = Buffer.concat([
    exchange.writer.frame(FrameKind.Message, message(text, node)),
    exchange.writer.frame(FrameKind.End),
  ])
  return { exchange, body, bytes: [head(exchange.headers, body.length), body] }
}

/** The frames of an answer. Answers here are short: chunked, each frame a chunk. */
async function framesOf(answer: Buffer, { reader }: BegunExchange): Promise<Frame[]> {
  const frames: Frame[] = []
  for await (const frame of readFrames(unchunk(answer), reader)) frames.push(frame)
  return frames
}

async function* unchunk(answer: Buffer): AsyncGenerator<Buffer> {
  let at = answer.indexOf('\r\n\r\n') + 4
  for (;;) {
    const end = answer.indexOf('\r\n', at)
    const length = Number.parseInt(answer.toString('latin1', at, end), 16)
    if (!(length > 0)) return
    yield answer.subarray(end + 2, end + 2 + length)
    at = end + 2 + length + 2
  }
}

function isRefusal(answer: Buffer): boolean {
  const text = answer.toString('latin1')
  return /^HTTP\/1\.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n$/i.test(
    text,
  )
}

t.test('a request as it should be', async (t) => {
  const node = await openNode(t)
  const { exchange, bytes } = good(node, 'hello')
  const [answer, ...rest] = await framesOf(await send(node.port, bytes), exchange)
  t.same(rest, [])
  t.equal(answer?.kind, FrameKind.Answer)
  t.match(decodeAnswer(answer!.payload), { kind: 'done', id: 0, body: Buffer.from('hello') })
})

t.test('strangers get 401 or nothing, whatever they ask for', async (t) => {
  const node = await openNode(t)
  const mac = 'a'.repeat(64)
  const guess = {
    'kintsugi-version': '1',
    'kintsugi-session': 'b'.repeat(32),
    'kintsugi-sequence': '0',
    'kintsugi-deadline': '99999999999',
    'kintsugi-mac': mac,
  }
  const asked = {
    'no headers': head({}, 0),
    guesses: head(guess, 0),
    'a hello without a signature': head({ 'kintsugi-from': 'g1' }, 0, HELLO_PATH),
    'another path': head({}, 0, '/'),
    'another method': Buffer.from(`GET ${MESSAGES_PATH} HTTP/1.1\r\nhost: n1\r\n\r\n`),
    'a body that is never sent': head(guess, 1_000_000_000),
  }
  for (const [name, bytes] of Object.entries(asked)) {
    t.ok(isRefusal(await send(node.port, [bytes], { isLeftOpen: true })), name)
  }
  const noise = {
    'what is no HTTP': Buffer.from('\x16\x03\x01\x02\x00\x01\x00'),
    'a head that is too long': head({ 'x-long': 'x'.repeat(20_000) }, 0),
    nothing: Buffer.alloc(0),
  }
  for (const [name, bytes] of Object.entries(noise)) {
    t.equal((await send(node.port, [bytes])).length, 0, name)
  }
  t.same(node.done, [])
})

t.test('a request that is sent again gets nothing', async (t) => {
  const node = await openNode(t)
  const { bytes } = good(node, 'once')
  await send(node.port, bytes)
  t.ok(isRefusal(await send(node.port, bytes)))
  t.same(node.done, ['once'])
})

t.test('a request of which a byte was changed gets nothing', async (t) => {
  const node = await openNode(t)
  const end = FRAME_OVERHEAD_BYTES
  const length = good(node, 'bytes').body.length - end
  for (let at = 0; at < length; at += 3) {
    const { bytes, body } = good(node, 'bytes')
    body[at]! ^= 0x10
    t.equal((await send(node.port, bytes)).length, 0, `byte ${at}`)
  }
  // What came before a broken frame was as it should be, and may be done.
  t.same(
    node.done.filter((text) => text !== 'bytes'),
    [],
  )
})

t.test('a request that is cut off, in the head or in the body', async (t) => {
  const node = await openNode(t)
  const headBytes = good(node, 'cut').bytes[0]!.length
  for (const length of [10, headBytes - 1, headBytes, headBytes + 5, headBytes + 40]) {
    const whole = Buffer.concat(good(node, 'cut').bytes)
    t.equal((await send(node.port, [whole.subarray(0, length)])).length, 0, `${length} bytes`)
  }
  t.same(node.done, [])
})

t.test('a frame that is too long is not waited for', async (t) => {
  const node = await openNode(t, { payloadBytes: 1000 })
  const exchange = node.session.begin(MESSAGES_PATH, clock.monotonicMs() + 60_000)
  const frame = exchange.writer.frame(FrameKind.Message, Buffer.alloc(1001))
  const bytes = [head(exchange.headers, 1_000_000), frame]
  t.equal((await send(node.port, bytes, { isLeftOpen: true })).length, 0)
})

t.test('who says nothing, or says it too slowly, is closed', async (t) => {
  const node = await openNode(t, { headersMs: 50 })
  const half = good(node, 'slow').bytes[0]!.subarray(0, 40)
  for (const bytes of [[], [half]]) {
    const answer = await send(node.port, bytes, { isLeftOpen: true })
    t.notMatch(answer.toString('latin1'), '200')
  }
  t.same(node.done, [])
})

t.test('a body that stops coming ends with its deadline', async (t) => {
  const node = await openNode(t)
  const exchange = node.session.begin(MESSAGES_PATH, clock.monotonicMs() + 50)
  const bytes = [head(exchange.headers, 1000), Buffer.alloc(3)]
  t.equal((await send(node.port, bytes, { isLeftOpen: true })).length, 0)
})

t.test('nothing is begun after its deadline', async (t) => {
  const node = await openNode(t)
  const late = node.session.begin(MESSAGES_PATH, clock.monotonicMs() - 1)
  const body = late.writer.frame(FrameKind.Message, message('late', node))
  t.equal((await send(node.port, [head(late.headers, body.length), body])).length, 0)

  const exchange = node.session.begin(MESSAGES_PATH, clock.monotonicMs() + 60_000)
  const gone = node.session.theirMs(clock.monotonicMs() - 1)
  const frames = Buffer.concat([
    exchange.writer.frame(
      FrameKind.Message,
      encodeMessage({ id: 0, type: ECHO, deadlineMs: gone, body: Buffer.from('late') }),
    ),
    exchange.writer.frame(FrameKind.Message, message('in time', node)),
    exchange.writer.frame(FrameKind.End),
  ])
  const answers = await framesOf(
    await send(node.port, [head(exchange.headers, frames.length), frames]),
    exchange,
  )
  const answered = answers.map(({ payload }) => decodeAnswer(payload))
  t.match(answered[0], { kind: 'failed', failure: { name: 'NodeRefused', reason: 'late' } })
  t.match(answered[1], { kind: 'done' }, 'the others of the batch are answered')
  t.same(node.done, ['in time'])
})

t.test('what the node does not know is refused in words', async (t) => {
  const node = await openNode(t)
  const exchange = node.session.begin(MESSAGES_PATH, clock.monotonicMs() + 60_000)
  const body = Buffer.concat([
    exchange.writer.frame(FrameKind.Message, message('what', { ...node, type: 999 })),
    exchange.writer.frame(FrameKind.End),
  ])
  const [answer] = await framesOf(
    await send(node.port, [head(exchange.headers, body.length), body]),
    exchange,
  )
  const failure = { name: 'NodeRefused', reason: 'unknown-request' }
  t.match(decodeAnswer(answer!.payload), { kind: 'failed', failure })

  const stream = node.session.begin('/kintsugi/node/other', clock.monotonicMs() + 60_000)
  const end = stream.writer.frame(FrameKind.End)
  const [refused] = await framesOf(
    await send(node.port, [head(stream.headers, end.length, '/kintsugi/node/other'), end]),
    stream,
  )
  t.equal(refused?.kind, FrameKind.Failed)
  t.match(decodeFailure(refused!.payload), failure)
})

t.test('a frame that is no message breaks off what is under way at once', async (t) => {
  const signals: AbortSignal[] = []
  const hang = async (_body: Uint8Array, { signal }: RequestContext): Promise<Uint8Array> => {
    signals.push(signal)
    await once(signal, 'abort')
    return Buffer.alloc(0)
  }
  // Room for two frames: none keeps its own.
  const node = await openNode(t, { receivedBytes: 8192 }, hang)
  for (const kind of [FrameKind.Data, FrameKind.Data, FrameKind.Message]) {
    const hourMs = clock.monotonicMs() + 3_600_000
    const { headers, writer } = node.session.begin(MESSAGES_PATH, hourMs)
    const body = Buffer.concat([
      writer.frame(FrameKind.Message, message('hang', node)),
      writer.frame(kind, Buffer.alloc(3)),
    ])
    await send(node.port, [head(headers, 1_000_000), body], { isLeftOpen: true })
  }
  t.equal(signals.length, 3)
  t.ok(signals.every(({ aborted }) => aborted))
})

t.test('who waits for room for an answer leaves with its exchange', async (t) => {
  const held: Promise<void>[] = []
  const hold = async (_body: Uint8Array, context: RequestContext): Promise<Uint8Array> => {
    held.push(context.holdAnswer(4096))
    await Promise.all(held)
    return await new Promise(() => {})
  }
  const service = { messages: new Map([[ECHO, hold]]), streams: new Map() }
  const { origin } = await startNode(t, service, { limits: { answerBytes: 4096 } })
  const [first, second] = [openPeer(t, { origin }), openPeer(t, { origin })]
  const asked: Promise<unknown>[] = []
  for (const peer of [first, second]) {
    const request = { type: ECHO, body: Buffer.alloc(0), deadlineMs: peer.nowMs + 3_600_000 }
    asked.push(t.rejects(peer.ask('lane', request), { code: 'NODE_UNREACHABLE' }))
    while (held.length < asked.length) await clock.sleep(1)
  }
  await held[0]
  await second.close()
  await t.rejects(held[1]!, { name: 'NodeRefused' })
  await first.close()
  await Promise.all(asked)
})

t.test('more connections than there may be are closed', async (t) => {
  const node = await openNode(t, { connections: 4 })
  const sockets: Socket[] = []
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let count = 0; count < 6; count += 1) {
    const socket = connect(node.port, '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.push(socket)
    await once(socket, 'connect')
  }
  await Promise.race(sockets.map((socket) => once(socket, 'close')))
  t.pass('one of them')
})
