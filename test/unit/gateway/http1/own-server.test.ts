// The gateway's own server as a whole: pipelines, clients that stall, stop reading or go, and replies that are not what they say.
import t from 'tap'
import { readIncoming } from '../../../../src/gateway/body/incoming.ts'
import type { Exchange, HttpServer } from '../../../../src/gateway/exchange.ts'
import { Deadlines } from '../../../../src/kit/deadlines.ts'
import { giveBack } from '../../../../src/kit/lent-bytes.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import { BODY, echo, heardIn, openClient, openServer, talk } from './echo-server.ts'

const get = (target: string, more = ''): string =>
  `GET ${target} HTTP/1.1\r\nhost: a\r\n${more}\r\n`
const CLOSE = 'connection: close\r\n'

/** With memory of its own to read into, and without. */
const WHICH = ['own', 'own over streams'] as const

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn()
}

/** Until it says the same for many turns: nothing moves any more. */
async function settled(count: () => number): Promise<void> {
  for (let before = -1, same = 0; same < 50; before = count()) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    same = count() === before ? same + 1 : 0
  }
}

for (const which of WHICH)
  t.test(
    `fifty requests at once, with and without bodies, are answered in order: ${which}`,
    async (t) => {
      const { port } = await openServer(t, which)
      const requests = Array.from({ length: 50 }, (_, at) => {
        const more = at === 49 ? CLOSE : ''
        if (at % 3 === 0) return get(`/${at}`, more)
        const body = 'x'.repeat(at * 10)
        const framing =
          at % 3 === 1
            ? `content-length: ${body.length}\r\n${more}\r\n${body}`
            : `transfer-encoding: chunked\r\n${more}\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
        return `PUT /${at} HTTP/1.1\r\nhost: a\r\n${framing}`
      })
      const { socket, all } = openClient(port)
      socket.write(requests.join(''))
      const heard = heardIn(await all)
      t.same(
        heard.map(({ target, body }) => [target, body.length]),
        requests.map((_, at) => [`/${at}`, at % 3 === 0 ? 0 : at * 10]),
      )
    },
  )

t.test('the next request is begun when the last one is answered, and few wait', async (t) => {
  const begun: Exchange[] = []
  let isAnswering = false
  const answer = (exchange: Exchange): void => {
    exchange.writeHead(200, ['content-length', '0'])
    exchange.end()
  }
  const { port } = await openServer(t, 'own', (exchange) => {
    begun.push(exchange)
    if (isAnswering) answer(exchange)
  })
  const { socket, all } = openClient(port)
  const one = get(
    '/',
    'x-a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n',
  )
  const sentBytes = one.length * 200_000
  socket.write(one.repeat(200_000))
  await until(() => begun.length > 0)
  await settled(() => socket.writableLength)
  t.equal(begun.length, 1)
  t.ok(socket.writableLength > 0, `the client has to wait with some of ${sentBytes} bytes`)
  socket.destroy()
  await all
  // Nothing is read any more: that the client is gone is found out when it is written to.
  isAnswering = true
  answer(begun[0]!)
  await until(() => begun.every(({ isClosed }) => isClosed))
})

for (const which of WHICH)
  t.test(`a body is taken as fast as its reader takes it: ${which}`, async (t) => {
    let taken = 0
    let letGo = (): void => {}
    const serve = (exchange: Exchange): void => {
      const reader = {
        take: (bytes: Uint8Array) => {
          taken += bytes.length
          giveBack(bytes)
          exchange.pauseBody(reader)
        },
        end: () => {
          exchange.writeHead(200, ['content-length', '0'])
          exchange.end()
        },
      }
      letGo = () => exchange.resumeBody(reader)
      exchange.readBody(reader)
    }
    const { port } = await openServer(t, which, serve)
    const bytes = 64 * 1024 * 1024
    for (const framing of ['length', 'chunks']) {
      taken = 0
      const { socket, all } = openClient(port)
      const field = framing === 'length' ? `content-length: ${bytes}` : 'transfer-encoding: chunked'
      socket.write(`PUT / HTTP/1.1\r\nhost: a\r\n${CLOSE}${field}\r\n\r\n`)
      if (framing === 'chunks') socket.write(`${bytes.toString(16)}\r\n`)
      socket.write(Buffer.alloc(bytes))
      if (framing === 'chunks') socket.write('\r\n0\r\n\r\n')
      await until(() => taken > 0)
      await settled(() => taken)
      t.ok(taken <= 65_536, `${taken} bytes were taken`)
      let isOver = false
      void all.then(() => {
        isOver = true
      })
      while (!isOver) {
        letGo()
        await turn()
      }
      t.match(await all, /^HTTP\/1\.1 200 /)
      t.equal(taken, bytes)
    }
  })

for (const which of WHICH)
  t.test(`long bodies arrive as they were sent: ${which}`, async (t) => {
    const { port } = await openServer(t, which, (exchange) => {
      let sum = 0
      let length = 0
      exchange.readBody({
        take: (bytes) => {
          for (const byte of bytes) sum = (sum * 31 + byte) % 1_000_003
          length += bytes.length
          giveBack(bytes)
        },
        end: () => {
          const text = Buffer.from(`${length} ${sum}`)
          exchange.writeHead(200, ['content-length', String(text.length)])
          exchange.write(text)
          exchange.end()
        },
      })
    })
    for (const length of [1, 16_383, 16_384, 65_536, 65_537, 1_000_003]) {
      const body = Buffer.from(Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) & 255))
      let sum = 0
      for (const byte of body) sum = (sum * 31 + byte) % 1_000_003
      const head = `PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: ${length}\r\n\r\n`
      const { socket, all } = openClient(port)
      const whole = Buffer.concat([Buffer.from(head), body])
      // The next request comes together with the end of the body.
      socket.write(Buffer.concat([whole, whole, Buffer.from(get('/', CLOSE))]))
      const answers = (await all).match(/\d+ \d+$|\d+ \d+(?=HTTP)/g)
      t.same(answers, [`${length} ${sum}`, `${length} ${sum}`, '0 0'])
    }
  })

t.test(
  'a body that nobody wants any more is forgotten, and the next request is served',
  async (t) => {
    const { port } = await openServer(t, 'own', (exchange) => {
      if (exchange.method === 'GET') {
        echo(exchange)
        return
      }
      exchange.writeHead(403, ['content-length', '0'])
      exchange.discardBody()
      exchange.end()
    })
    const { socket, all, text } = openClient(port)
    socket.write('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n')
    await until(() => text().includes('403'))
    socket.write(Buffer.concat([Buffer.alloc(100_000), Buffer.from(get('/next', CLOSE))]))
    t.match(heardIn((await all).replace(/^.*?\r\n\r\n/s, '')), [{ target: '/next' }])
  },
)

t.test('heads that take too long, and connections that are not used', async (t) => {
  const { port } = await openServer(t, 'own', (exchange) => echo(exchange), {
    headersMs: 60,
    keepAliveMs: 60,
  })
  for (const start of ['', 'G', 'GET / HTTP/1.1\r\nhost: a\r\n']) {
    const { socket, all } = openClient(port)
    socket.write(start)
    t.match(await all, /x-code: ERR_HTTP_REQUEST_TIMEOUT/, JSON.stringify(start))
  }
  const used = openClient(port)
  used.socket.write(get('/once'))
  t.match(heardIn(await used.all), [{ target: '/once' }])
  const second = openClient(port)
  second.socket.write(`${get('/once')}GET /tw`)
  t.match(await second.all, /\/once[\s\S]*ERR_HTTP_REQUEST_TIMEOUT/)
})

t.test('a head as slow as bytes come is bounded, and read once', async (t) => {
  const { port } = await openServer(t, 'own', (exchange) => echo(exchange), { headBytesMax: 300 })
  const whole = get('/slow', `x-a: ${'a'.repeat(200)}\r\n`)
  const heard = heardIn(
    await talk(
      port,
      [...whole].map((byte) => byte),
    ),
  )
  t.match(heard, [{ target: '/slow' }])
  const long = await talk(port, [get('/', `x-a: ${'a'.repeat(300)}\r\n`)])
  t.match(long, /x-code: HPE_HEADER_OVERFLOW/)
  const endless = await talk(port, ['GET / HTTP/1.1\r\n', 'x-a: a\r\n'.repeat(50)])
  t.match(endless, /x-code: HPE_HEADER_OVERFLOW/)
})

t.test('a client that goes, wherever it is', async (t) => {
  const exchanges: Exchange[] = []
  let closes = 0
  const troubles: (Error | undefined)[] = []
  const { port, server } = await openServer(t, 'own', (exchange) => {
    exchanges.push(exchange)
    exchange.watcher = {
      close: () => {
        closes += 1
      },
    }
    if (exchange.target === '/read')
      exchange.readBody({ take: giveBack, end: (trouble) => void troubles.push(trouble) })
    if (exchange.target === '/half') {
      exchange.writeHead(200, ['content-length', '10'])
      exchange.write(Buffer.from('half'))
    }
  })
  const put = (target: string): string =>
    `PUT ${target} HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nfour`
  const states = [
    '',
    'GET /',
    put('/read'),
    put('/wait'),
    get('/reply'),
    get('/half'),
    get('/') + get('/'),
  ]
  for (const leave of ['destroy', 'end'] as const) {
    for (const sent of states) {
      const before = exchanges.length
      const { socket, all } = openClient(port)
      socket.write(sent)
      if (sent.endsWith('\r\n\r\n') || sent.endsWith('four'))
        await until(() => exchanges.length > before)
      if (leave === 'destroy') socket.resetAndDestroy()
      else socket.end()
      // Nobody has asked for that body: who waits for it hears when he does.
      if (leave === 'end' && sent === put('/wait')) {
        await turn()
        exchanges
          .at(-1)!
          .readBody({ take: giveBack, end: (trouble) => void troubles.push(trouble) })
      }
      if (sent.startsWith('PUT') && leave === 'end') {
        await until(() => troubles.length % 2 === (sent === put('/read') ? 0 : 1))
        exchanges.at(-1)!.destroy()
      }
      await all
    }
  }
  await until(() => closes === exchanges.length)
  t.equal(exchanges.length, 10)
  t.ok(troubles.length === 3 && troubles.every((trouble) => trouble instanceof Error))
  t.ok(exchanges.every(({ isClosed, isSent }) => isClosed && !isSent))
  await server.close()
})

t.test('a client that goes behind its body is heard of, however the body was read', async (t) => {
  const world = realWorld()
  let gone = 0
  let whole = 0
  const { port } = await openServer(t, 'own', (exchange) => {
    exchange.watcher = {
      close: () => {
        gone += 1
      },
    }
    const chunks = readIncoming(exchange, {
      ...{ clock: world.clock, silence: new Deadlines(60_000, world.clock), bytesPerSecondMin: 1 },
      ...{ onStart: () => {}, onBytes: () => {} },
    })
    void (async () => {
      for await (const bytes of chunks) {
        // So that others wait behind it.
        for (let turns = 0; turns < 4; turns += 1) await turn()
        giveBack(bytes)
      }
      whole += 1
    })()
  })
  const lengths = [1, 65_536, 131_072, 262_144, 1_000_000]
  for (const length of lengths) {
    const before = whole
    const { socket, all } = openClient(port)
    socket.write(`PUT /b HTTP/1.1\r\nhost: a\r\ncontent-length: ${length}\r\n\r\n`)
    socket.write(Buffer.alloc(length))
    await until(() => whole > before)
    socket.resetAndDestroy()
    await all
    await until(() => gone === whole)
  }
  t.equal(gone, lengths.length)
})

t.test('empty lines do not make a connection last', async (t) => {
  const { port } = await openServer(t, 'own', (exchange) => echo(exchange), {
    headersMs: 100,
    keepAliveMs: 100,
  })
  const { socket, all } = openClient(port)
  socket.write('\r')
  const drip = setInterval(() => socket.write('\n\r'), 20)
  t.match(await all, /ERR_HTTP_REQUEST_TIMEOUT|^$/)
  clearInterval(drip)
})

t.test('an exchange that is over does nothing to the next one of its connection', async (t) => {
  const exchanges: Exchange[] = []
  const { port } = await openServer(t, 'own', (exchange) => {
    exchanges.push(exchange)
    if (exchange.target === '/one') echo(exchange)
  })
  const { socket, all } = openClient(port)
  socket.write(get('/one') + get('/two', CLOSE))
  await until(() => exchanges.length === 2)
  exchanges[0]!.destroy()
  echo(exchanges[1]!)
  t.match(heardIn(await all), [{ target: '/one' }, { target: '/two' }])
})

t.test('a reply that is not as long as it says is torn off', async (t) => {
  const thrown: string[] = []
  const { port } = await openServer(t, 'own', (exchange) => {
    exchange.writeHead(200, ['content-length', '4'])
    try {
      exchange.write(Buffer.from(exchange.target))
      exchange.end()
    } catch (error) {
      thrown.push((error as Error).message)
    }
  })
  t.match(await talk(port, [get('/abc', CLOSE)]), /\r\n\r\n\/abc$/)
  t.notMatch(await talk(port, [get('/a')]), /\/a\b.+HTTP/s)
  t.notMatch(await talk(port, [get('/abcd')]), '/abcd')
  t.equal(thrown.length, 2)
})

t.test('what can not stand in a head is refused before anything is sent', async (t) => {
  const bad: [string, string][] = [
    ...['a\r\nb: c', 'a\nb', 'a\0', '\u0100', 'a\x7f'].map((value): [string, string] => [
      'x-a',
      value,
    ]),
    ...['', 'x a', 'x:', 'x\r\n', 'é'].map((name): [string, string] => [name, 'a']),
  ]
  const { port } = await openServer(t, 'own', (exchange) => {
    const [name, value] = bad[Number(exchange.target.slice(1))]!
    try {
      exchange.writeHead(200, [name, value])
    } catch {
      exchange.writeHead(500, ['content-length', '0', 'x-b', 'é\t~'])
    }
    exchange.end()
  })
  for (const at of bad.keys())
    t.match(
      await talk(port, [get(`/${at}`, CLOSE)]),
      /^HTTP\/1\.1 500 .*x-b: \xe9\t~\r\n/s,
      `${at}`,
    )
})

t.test('replies without a length, without a body, and of old clients', async (t) => {
  const { port } = await openServer(t, 'own', (exchange) => {
    const status = Number(exchange.target.slice(1))
    exchange.writeHead(status, status === 201 ? ['content-length', '3'] : [])
    exchange.write('a')
    exchange.write('bc')
    exchange.end()
  })
  const ask = (line: string, more = ''): Promise<string> =>
    talk(port, [`${line}\r\nhost: a\r\n${more}\r\n`])
  t.match(
    await ask('GET /200 HTTP/1.1'),
    /transfer-encoding: chunked\r\n[\s\S]*\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n$/,
  )
  t.match(await ask('GET /200 HTTP/1.0'), /connection: close\r\n\r\nabc$/)
  t.match(
    await ask('GET /201 HTTP/1.0', 'connection: Keep-Alive\r\n'),
    /connection: keep-alive\r\n[\s\S]*\r\n\r\nabc$/,
  )
  t.match(await ask('GET /201 HTTP/1.0'), /connection: close\r\n/)
  t.match(await ask('GET /201 HTTP/1.1', 'connection: x, Close\r\n'), /connection: close\r\n/)
  for (const line of [
    'HEAD /201 HTTP/1.1',
    'HEAD /200 HTTP/1.1',
    'GET /204 HTTP/1.1',
    'GET /304 HTTP/1.1',
  ]) {
    const answer = await ask(line)
    t.match(answer, /^HTTP\/1\.1 \d+ [\s\S]*date: [^\r]* GMT\r\n[\s\S]*\r\n\r\n$/, line)
    t.notMatch(answer, 'chunked')
  }
})

t.test('100 Continue is sent when the body is wanted', async (t) => {
  const { port } = await openServer(t, 'own', (exchange) => {
    if (exchange.awaitsContinue) exchange.sendContinue()
    echo(exchange)
  })
  const { socket, all, text } = openClient(port)
  socket.write(
    `PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\ncontent-length: 5\r\n${CLOSE}\r\n`,
  )
  await until(() => text() === 'HTTP/1.1 100 Continue\r\n\r\n')
  socket.write('hello')
  t.match(await all, /"body":"hello"/)
  const old = 'PUT / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello'
  t.match(await talk(port, [old]), /^HTTP\/1\.1 200 /)
  t.match(await talk(port, [get('/', 'expect: 100-continued\r\n')]), /^HTTP\/1\.1 200 /)
})

t.test('closing ends what is idle at once and what is not when it is answered', async (t) => {
  let waiting: Exchange | undefined
  const { port, server } = await openServer(t, 'own', (exchange) => {
    waiting = exchange
  })
  const idle = openClient(port)
  const busy = openClient(port)
  busy.socket.write(get('/'))
  await until(() => waiting !== undefined)
  const closed = server.close()
  t.equal(await idle.all, '')
  waiting?.writeHead(200, ['content-length', '0'])
  waiting?.end()
  t.match(await busy.all, /^HTTP\/1\.1 200 /)
  await closed
  t.equal(BODY, 'bad request')
})

t.test('what was sent before a close is answered', async (t) => {
  const { port, server } = await openServer(t, 'own')
  const clients = Array.from({ length: 8 }, () => openClient(port))
  for (const { socket } of clients) socket.write(get('/before'))
  await until(() => clients.every(({ text }) => text().includes('/before')))
  // The system has it before the server is told, and the server has not read it.
  for (const { socket } of clients) socket.write(get('/sent'))
  const closed = server.close()
  for (const { all } of clients)
    t.match(heardIn(await all), [{ target: '/before' }, { target: '/sent' }])
  await closed
})

t.test('nor does the end of one of them take the others', async (t) => {
  let server: HttpServer | undefined
  const opened = await openServer(t, 'own', (exchange) => {
    echo(exchange)
    // As the gateway does at the end of each while it closes.
    setImmediate(() => server?.closeIdle())
  })
  const clients = Array.from({ length: 8 }, () => openClient(opened.port))
  for (const { socket } of clients) socket.write(get('/before'))
  await until(() => clients.every(({ text }) => text().includes('/before')))
  server = opened.server
  const closed = server.close()
  for (const [at, { socket, text }] of clients.entries()) {
    socket.write(get(`/sent${at}`))
    if (at === 0) await until(() => text().includes('/sent0'))
  }
  for (const [at, { all }] of clients.entries())
    t.match(heardIn(await all), [{ target: '/before' }, { target: `/sent${at}` }])
  await closed
})
