// The end of a turn of the event loop begins only so many requests, in the order in which they came, whoever sends the most.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createOwnServer } from '../../../../src/gateway/http1/own-server.ts'
import { TurnShare } from '../../../../src/gateway/http1/turn-share.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import { echo, OPTIONS, refuse } from './echo-server.ts'

const BEGUN_IN_TURN = 32

/** Turns that end when the test says so. */
function turnsByHand() {
  const works: (() => void)[] = []
  const clock = { ...realWorld().clock, afterTurn: (work: () => void) => void works.push(work) }
  const end = (): void => {
    for (const work of works.splice(0)) work()
  }
  return { clock, looks: () => works.length, end }
}

/** The share of turns that end by hand, who began in it, and what was said of it to where replies go. */
function shareByHand() {
  const turns = turnsByHand()
  const begun: number[] = []
  const sent: number[] = []
  const share = new TurnShare(turns.clock, {
    writeBehind: (work) => {
      work()
      sent.push(begun.length)
    },
  })
  const come = (number: number, bytes = 100): void =>
    share.beginLater({ beginLater: () => void begun.push(number) }, bytes)
  return { ...turns, share, begun, sent, come }
}

t.test('none begins before the turn ends; then so many, and the others in order', async (t) => {
  const { looks, end, begun, sent, come } = shareByHand()
  for (let number = 0; number < 80; number += 1) come(number)
  t.equal(begun.length, 0)
  t.equal(looks(), 1)
  end()
  t.equal(begun.length, BEGUN_IN_TURN)
  come(80)
  end()
  t.equal(begun.length, 2 * BEGUN_IN_TURN)
  end()
  t.same(begun, [...Array(81).keys()], 'in the order in which they came')
  t.same(sent, [32, 64, 81], 'the replies of a turn go together')
  t.equal(looks(), 0, 'where nobody waits nobody looks')
})

t.test('in a turn that accepted somebody a few begin, for there may be more', async (t) => {
  const { looks, end, share, begun, come } = shareByHand()
  share.noteAccepted()
  t.equal(looks(), 1)
  for (let number = 0; number < 50; number += 1) come(number)
  end()
  t.equal(begun.length, 4)
  share.noteAccepted()
  end()
  t.equal(begun.length, 8)
  end()
  t.equal(begun.length, 8 + BEGUN_IN_TURN, 'nobody was accepted in this one')
  end()
  t.same(begun, [...Array(50).keys()])
  t.equal(looks(), 0)
})

t.test('what waits is bounded', async (t) => {
  const { end, share, come } = shareByHand()
  const bytes = 64 * 1024
  let waiting = 0
  for (; share.mayWait(bytes); waiting += 1) come(waiting, bytes)
  t.equal(waiting, 256, '16 MiB')
  t.notOk(share.mayWait(1))
  end()
  t.ok(share.mayWait(32 * bytes), 'there is room for those that began')
  t.notOk(share.mayWait(33 * bytes))
})

const CLIENTS = 200

t.test('of hundreds who ask at once every one is answered, some a little later', async (t) => {
  let turn = 0
  let isOver = false
  const inTurn = new Map<number, number>()
  const count = (): void => {
    turn += 1
    if (!isOver) setImmediate(count)
  }
  const server = createOwnServer(
    OPTIONS,
    {
      refuse,
      serve: (exchange) => {
        inTurn.set(turn, (inTurn.get(turn) ?? 0) + 1)
        echo(exchange)
      },
    },
    { clock: realWorld().clock },
  )
  const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
  const clients: Socket[] = []
  for (let number = 0; number < CLIENTS; number += 1) {
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /first HTTP/1.1\r\nhost: a\r\n\r\n')
    await once(socket, 'data')
    clients.push(socket)
  }
  inTurn.clear()
  count()
  const body = 'x'.repeat(40_000)
  const answers = clients.map(async (socket, number) => {
    const parts: Buffer[] = []
    for await (const part of socket) parts.push(part as Buffer)
    return { number, text: Buffer.concat(parts).toString('latin1') }
  })
  // A part of the body with the head, the rest while that may be waiting, and an end that the server hears meanwhile.
  for (const [number, socket] of clients.entries())
    socket.write(
      `PUT /${number} HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body.slice(0, 10)}`,
    )
  setImmediate(() => {
    for (const [number, socket] of clients.entries()) {
      socket.write(body.slice(10))
      if (number % 3 === 0) socket.end()
    }
  })
  for (const { number, text } of await Promise.all(answers)) {
    if (!text.startsWith('HTTP/1.1 200') || !text.includes(`"target":"/${number}"`))
      t.fail(`client ${number}: ${text.slice(0, 200)}`)
    if (!text.includes(body)) t.fail(`client ${number}: its body is not all there`)
  }
  isOver = true
  t.equal(Math.max(...inTurn.values()), BEGUN_IN_TURN)
  const all = [...inTurn.values()].reduce((sum, begun) => sum + begun, 0)
  t.equal(all, CLIENTS)
  await server.close()
})

t.test('a request that waits for its turn has come in time', async (t) => {
  const turns = turnsByHand()
  const server = createOwnServer(
    { ...OPTIONS, keepAliveMs: 20, headersMs: 20 },
    { refuse, serve: echo },
    { clock: turns.clock },
  )
  const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET /first HTTP/1.1\r\nhost: a\r\n\r\n')
  while (turns.looks() === 0) await sleep(1)
  // So that its time is looked at, and is over.
  await sleep(200)
  turns.end()
  turns.end()
  const [answer] = (await once(socket, 'data')) as [Buffer]
  t.match(answer.toString(), /^HTTP\/1.1 200/)
  socket.destroy()
  await server.close()
})

t.test('who is gone before its turn takes nothing from the others', async (t) => {
  const heard: string[] = []
  const server = createOwnServer(
    OPTIONS,
    {
      refuse,
      serve: (exchange) => {
        heard.push(exchange.target)
        echo(exchange)
      },
    },
    { clock: realWorld().clock },
  )
  const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
  const clients: Socket[] = []
  for (let number = 0; number < 100; number += 1) {
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /first HTTP/1.1\r\nhost: a\r\n\r\n')
    await once(socket, 'data')
    clients.push(socket)
  }
  const last = once(clients.at(-1)!, 'data')
  for (const [number, socket] of clients.entries()) {
    socket.write(`GET /${number} HTTP/1.1\r\nhost: a\r\n\r\n`)
    if (number >= 50 && number < 99) socket.resetAndDestroy()
  }
  await last
  t.ok(heard.includes('/99'))
  t.same(
    heard.filter((target) => target !== '/first').slice(0, 50),
    Array.from({ length: 50 }, (_, number) => `/${number}`),
  )
  for (const socket of clients) socket.destroy()
  await server.close()
})
