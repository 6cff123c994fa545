// Which exchange a request goes in, and what counts as a sign of life: a channel whose other end and clock are the test's.

import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Channel, SessionForgotten } from '../../../../src/storage-node/rpc/channel.ts'
import { ClientSession } from '../../../../src/storage-node/rpc/client-session.ts'
import { FrameKind, FrameReader, FrameWriter } from '../../../../src/storage-node/rpc/frames.ts'
import { AskedRequest, type RequestEnd } from '../../../../src/storage-node/rpc/lane.ts'
import type { MessageExchange } from '../../../../src/storage-node/rpc/message-exchange.ts'
import { decodeMessage, encodeDone } from '../../../../src/storage-node/rpc/messages.ts'
import { MESSAGES_PATH } from '../../../../src/storage-node/rpc/node-service.ts'
import { keysOf, readHead } from '../../../../src/storage-node/rpc/session-format.ts'
import { NodeUnreachable } from '../../../../src/storage-node/rpc/trouble.ts'

const KEY = Buffer.alloc(32, 'the key of a session')
const PAYLOAD_BYTES = 2 * 1024 * 1024

function openClock() {
  const timers = new Set<{ atMs: number; ring: () => void }>()
  const clock = {
    ms: 0,
    now: () => clock.ms,
    monotonicMs: () => clock.ms,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        signal?.throwIfAborted()
        const timer = { atMs: clock.ms + ms, ring: resolve }
        timers.add(timer)
        signal?.addEventListener('abort', () => {
          timers.delete(timer)
          reject(signal.reason)
        })
      }),
    pass: async (ms: number): Promise<void> => {
      clock.ms += ms
      for (const timer of [...timers]) {
        if (timer.atMs > clock.ms) continue
        timers.delete(timer)
        timer.ring()
      }
      await turn()
    },
  }
  return clock
}

function openSession(nowMs: number): ClientSession {
  const versions = { oldest: 2, newest: 2 }
  const welcome = { session: 'a'.repeat(32), nonce: '', version: 2, versions, clockMs: nowMs }
  return new ClientSession(welcome, {
    key: KEY,
    saidMs: nowMs,
    nowMs,
    payloadBytesMax: PAYLOAD_BYTES,
  })
}

/** The other end of an exchange. */
class OtherEnd {
  readonly exchange: MessageExchange
  /** What was sent so far: bodies of messages. */
  readonly heard: string[] = []
  /** Nothing more will be. */
  isLeft = false
  readonly answer = new Readable({ read: () => {} })
  readonly #writer: FrameWriter

  constructor(exchange: MessageExchange) {
    this.exchange = exchange
    const keys = keysOf(KEY, readHead(MESSAGES_PATH, exchange.headers)!)
    this.#writer = new FrameWriter(keys.answer)
    const reader = new FrameReader(keys.request, PAYLOAD_BYTES)
    exchange.body.on('data', (bytes: Buffer) => {
      reader.push(bytes)
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        if (frame.kind === FrameKind.End) this.isLeft = true
        else this.heard.push(Buffer.from(decodeMessage(frame.payload).body).toString())
      }
    })
    exchange.signal.addEventListener('abort', () => this.answer.destroy(new Error('broken off')))
  }

  /** The bytes of an answer to a message, by its place in the exchange. */
  answerTo(id: number): Buffer {
    return this.#writer.frame(FrameKind.Answer, encodeDone(id))
  }

  async say(bytes: Uint8Array): Promise<void> {
    this.answer.push(bytes)
    await turn()
  }
}

function openChannel(t: Test) {
  const clock = openClock()
  const ends: OtherEnd[] = []
  const ended: Record<string, RequestEnd> = {}
  const seen = { heard: 0, dropped: 0 }
  let session = openSession(clock.ms)
  const channel = new Channel({
    clock,
    sessions: {
      get: async () => session,
      drop: (dropped) => {
        seen.dropped += 1
        if (dropped === session) session = openSession(clock.ms)
      },
    },
    carryOut: (exchange) => {
      const end = new OtherEnd(exchange)
      ends.push(end)
      return end.answer
    },
    unreachable: () => new NodeUnreachable('it broke', 'unknown'),
    onHeard: () => {
      seen.heard += 1
    },
  })
  const send = async (text: string, waitMs = 60_000): Promise<AskedRequest> => {
    const request = { type: 1, body: Buffer.from(text), deadlineMs: clock.ms + waitMs }
    const asked = new AskedRequest(request, (end) => {
      ended[text] = end
    })
    channel.send(asked)
    await turn()
    return asked
  }
  t.teardown(() => {
    for (const { exchange } of ends) exchange.breakOff()
  })
  return { clock, channel, ends, ended, seen, send }
}

t.test('what nobody signed is no sign of life', async (t) => {
  const { ends, ended, seen, send } = openChannel(t)
  await send('one')
  const [end] = ends
  for (let count = 0; count < 20; count += 1) await end!.say(Buffer.alloc(1))
  t.equal(seen.heard, 0, 'a stranger drips')
  t.same(ended, {})
  await end!.say(Buffer.alloc(10))
  t.match(ended, { one: { error: { code: 'NODE_UNREACHABLE' } } })
  t.equal(seen.heard, 0)

  await send('two')
  const answer = ends[1]!.answerTo(0)
  await ends[1]!.say(answer.subarray(0, -1))
  t.equal(seen.heard, 0, 'not yet')
  await ends[1]!.say(answer.subarray(-1))
  t.equal(seen.heard, 1)
  t.match(ended, { two: { body: Buffer.alloc(0) } })
})

t.test('an exchange that is silent is left, and still answered', async (t) => {
  const { clock, ends, ended, send } = openChannel(t)
  await send('hangs')
  await clock.pass(3_999)
  await send('in time')
  t.equal(ends.length, 1)
  await clock.pass(1)
  await send('elsewhere')
  t.same(
    ends.map(({ heard }) => heard),
    [['hangs', 'in time'], ['elsewhere']],
  )
  t.ok(ends[0]!.isLeft)
  t.notOk(ends[0]!.exchange.signal.aborted)
  await clock.pass(3_999)
  await send('in time as well')
  t.equal(ends.length, 2, 'one in that time')
  await ends[0]!.say(ends[0]!.answerTo(0))
  t.match(ended, { hangs: { body: Buffer.alloc(0) } })
})

t.test('an exchange that says something, or owes nothing, is not left', async (t) => {
  const { clock, ends, send } = openChannel(t)
  await send('hangs')
  for (let id = 1; id < 6; id += 1) {
    await clock.pass(3_000)
    await send(`${id}`)
    await ends[0]!.say(ends[0]!.answerTo(id))
  }
  await ends[0]!.say(ends[0]!.answerTo(0))
  await clock.pass(20_000)
  await send('after a rest')
  await clock.pass(3_999)
  await send('soon after that')
  t.equal(ends.length, 1)
  t.equal(ends[0]!.heard.length, 8)
})

t.test('no more exchanges hang than there may be', async (t) => {
  const { clock, ends, send } = openChannel(t)
  for (let count = 0; count < 25; count += 1) {
    await send('hangs')
    await clock.pass(4_000)
  }
  t.equal(ends.length, 16)
})

t.test('a session that was forgotten is used by none of its exchanges', async (t) => {
  const { clock, ends, ended, seen, send } = openChannel(t)
  await send('hangs')
  await clock.pass(4_000)
  await send('later')
  ends[0]!.answer.destroy(new SessionForgotten())
  await turn()
  t.equal(seen.dropped, 1)
  t.same(
    ends.map(({ heard }) => heard),
    [['hangs'], ['later'], ['hangs']],
  )
  t.ok(ends[1]!.isLeft)
  await ends[1]!.say(ends[1]!.answerTo(0))
  await ends[2]!.say(ends[2]!.answerTo(0))
  t.match(ended, { hangs: { body: Buffer.alloc(0) }, later: { body: Buffer.alloc(0) } })
})

t.test('requests that have long share an exchange as others do', async (t) => {
  const { clock, ends, send } = openChannel(t)
  for (let count = 0; count < 59; count += 1) {
    const asked = await send(`${count}`, 3_600_000)
    await ends[0]!.say(ends[0]!.answerTo(count))
    t.ok(asked.isSettled)
    await clock.pass(1_000)
  }
  t.equal(ends.length, 1)
})

t.test('an exchange keeps no more of what was given up than so much', async (t) => {
  const { ends, ended, send } = openChannel(t)
  const giveUp = (asked: AskedRequest): void => {
    const { way } = asked
    asked.settle({ error: new Error('late') })
    way!.giveUp(asked)
  }
  const large = 'x'.repeat(1024 * 1024)
  await send('hangs')
  const { body, signal } = ends[0]!.exchange
  // Its connection takes nothing any more.
  body.pause()
  for (let count = 0; count < 8; count += 1) giveUp(await send(large))
  t.notOk(signal.aborted)
  t.ok(body.readableLength > large.length * 7)
  giveUp(await send(large))
  await turn()
  t.ok(signal.aborted)
  t.match(ended, { hangs: { error: { code: 'NODE_UNREACHABLE', outcome: 'unknown' } } })
  await send('elsewhere')
  t.same(ends[1]!.heard, ['elsewhere'])
})

t.test('what was given up after it had left is nothing to keep', async (t) => {
  const { ends, send } = openChannel(t)
  await send('hangs')
  for (let count = 0; count < 12; count += 1) {
    const asked = await send('x'.repeat(1024 * 1024))
    const { way } = asked
    asked.settle({ error: new Error('late') })
    way!.giveUp(asked)
  }
  t.equal(ends.length, 1)
  t.notOk(ends[0]!.exchange.signal.aborted)
})
