// Short replies of a turn of the event loop are written together when it ends, and what goes behind one of them stays behind it.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { createOwnServer } from '../../../../src/gateway/http1/own-server.ts'
import { ShortReplies } from '../../../../src/gateway/http1/short-replies.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import { OPTIONS, refuse } from './echo-server.ts'

/** Replies, what was written of them by when, and the end of a turn by hand. */
function repliesByHand() {
  const works: (() => void)[] = []
  const written: string[] = []
  const clock = { ...realWorld().clock, afterTurn: (work: () => void) => void works.push(work) }
  const replies = new ShortReplies(clock)
  const socket = { write: (bytes: unknown) => written.push(String(bytes)) } as unknown as Socket
  const add = (text: string): void => replies.add(socket, text, () => {})
  const end = (): void => {
    for (const work of works.splice(0)) work()
  }
  return { replies, written, works, add, end }
}

t.test('when the turn ends, in order, once', async (t) => {
  const { written, works, add, end } = repliesByHand()
  for (const text of ['a', 'b', 'c']) add(text)
  t.same(written, [])
  t.equal(works.length, 1)
  end()
  t.same(written, ['a', 'b', 'c'])
  add('d')
  end()
  t.same(written, ['a', 'b', 'c', 'd'])
})

t.test('behind the work of the end of a turn, also where that throws', async (t) => {
  const { replies, written, works, add } = repliesByHand()
  replies.writeBehind(() => {
    add('a')
    add('b')
    t.same(written, [])
  })
  t.same(written, ['a', 'b'])
  t.equal(works.length, 0, 'no other end of a turn is needed')
  t.throws(() =>
    replies.writeBehind(() => {
      add('c')
      throw new Error('no')
    }),
  )
  t.same(written, ['a', 'b', 'c'])
  add('d')
  t.equal(works.length, 1)
})

t.test('a long rest stays behind a short beginning', async (t) => {
  const long = Buffer.alloc(300_000, 'x')
  const server = createOwnServer(
    OPTIONS,
    {
      refuse,
      serve: (exchange) => {
        exchange.writeHead(200, ['content-length', String(5 + long.length)])
        exchange.write('begin')
        exchange.write(long)
        exchange.end()
      },
    },
    { clock: realWorld().clock },
  )
  const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part as Buffer)
  const text = Buffer.concat(parts).toString('latin1')
  t.equal(text.slice(text.indexOf('\r\n\r\n') + 4), `begin${long}`)
  await server.close()
})

t.test('replies of several connections in one turn reach each its own', async (t) => {
  const server = createOwnServer(
    OPTIONS,
    {
      refuse,
      serve: (exchange) => {
        exchange.writeHead(200, ['content-length', String(exchange.target.length)])
        exchange.write(exchange.target)
        exchange.end()
      },
    },
    { clock: realWorld().clock },
  )
  const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
  const clients = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    }),
  )
  const answers = clients.map(async (socket, number) => {
    // Two behind each other: the second begins when the first is sent.
    const head = (target: string): string => `GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`
    socket.end(`${head(`/a${number}`)}${head(`/b${number}`)}`)
    const parts: Buffer[] = []
    for await (const part of socket) parts.push(part as Buffer)
    return [
      ...Buffer.concat(parts)
        .toString('latin1')
        .matchAll(/\r\n\r\n(\/[ab]\d+)/g),
    ]
      .map(([, target]) => target)
      .join()
  })
  t.same(
    await Promise.all(answers),
    clients.map((_, number) => `/a${number},/b${number}`),
  )
  await server.close()
})
