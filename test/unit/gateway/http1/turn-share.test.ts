// A turn of the event loop begins only so many requests, in the order in which they came, whoever sends the most.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
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

t.test('so many begin in a turn, and the others in order in the next ones', async (t) => {
  const { clock, looks, end } = turnsByHand()
  const share = new TurnShare(clock)
  const begun: number[] = []
  const come = (number: number): void => {
    if (share.tryBegin(100)) begun.push(number)
    else share.beginLater({ beginLater: () => begun.push(number) }, 100)
  }
  for (let number = 0; number < 10; number += 1) come(number)
  t.equal(looks(), 0, 'where few come nobody looks')
  for (let number = 10; number < 80; number += 1) come(number)
  t.equal(begun.length, BEGUN_IN_TURN)
  t.equal(looks(), 1)
  end()
  t.equal(begun.length, 2 * BEGUN_IN_TURN)
  come(80)
  t.equal(begun.length, 2 * BEGUN_IN_TURN, 'who waited has had this turn')
  end()
  t.equal(begun.length, 81)
  t.same(begun, [...begun.keys()], 'in the order in which they came')
  come(81)
  t.equal(begun.length, 82)
  end()
  t.equal(looks(), 0)
})

const CLIENTS = 200

t.test('behind a turn that accepted somebody a few begin, for there may be more', async (t) => {
  const { clock, looks, end } = turnsByHand()
  const share = new TurnShare(clock)
  const begun = (): number => {
    let count = 0
    while (share.tryBegin(100)) count += 1
    return count
  }
  share.noteAccepted()
  t.equal(looks(), 1)
  t.equal(begun(), BEGUN_IN_TURN)
  share.noteAccepted()
  end()
  t.equal(begun(), 4)
  const late: number[] = []
  for (let number = 0; number < 6; number += 1)
    share.beginLater({ beginLater: () => late.push(number) }, 100)
  share.noteAccepted()
  end()
  t.same(late, [0, 1, 2, 3])
  t.equal(begun(), 0)
  end()
  t.same(late, [0, 1, 2, 3, 4, 5])
  t.equal(begun(), BEGUN_IN_TURN - 2, 'nobody was accepted in the last one')
  end()
  end()
  t.equal(looks(), 0)
})

t.test('what waits is bounded: beyond that it begins at once', async (t) => {
  const { clock, end } = turnsByHand()
  const share = new TurnShare(clock)
  const bytes = 64 * 1024
  while (share.tryBegin(bytes));
  let waiting = 0
  for (; !share.tryBegin(bytes); waiting += 1) share.beginLater({ beginLater: () => {} }, bytes)
  t.equal(waiting, 256, '16 MiB')
  t.ok(share.tryBegin(bytes))
  t.notOk(share.tryBegin(0))
  end()
  t.notOk(share.tryBegin(bytes), 'there is room for 32 again')
  for (let turn = 0; turn < 9; turn += 1) end()
  t.ok(share.tryBegin(bytes))
})

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
