// What a request without a body tells of its end, and to whom.
import { once } from 'node:events'
import { createServer, ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t, { type Test } from 'tap'
import { GatewayRequest } from '../../../../src/gateway/node-http/gateway-request.ts'

type Handler = (request: GatewayRequest, response: ServerResponse<GatewayRequest>) => void

/** What comes back when `sent` goes to a server with this handler. */
async function talk(t: Test, sent: string, handle: Handler): Promise<string> {
  const server = createServer({ IncomingMessage: GatewayRequest, ServerResponse }, handle)
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let answer = ''
  socket.on('data', (bytes) => {
    answer += String(bytes)
  })
  socket.write(sent)
  await once(socket, 'close')
  return answer
}

const head = (method: string, more: string[] = []): string =>
  `${[`${method} / HTTP/1.1`, 'host: a', ...more].join('\r\n')}\r\n\r\n`
const LAST = ['connection: close']

const readers: Record<string, (request: GatewayRequest) => Promise<string>> = {
  'by events': async (request) => {
    let text = ''
    request.on('data', (bytes) => {
      text += String(bytes)
    })
    await once(request, 'end')
    return text
  },
  'by a loop': async (request) => {
    let text = ''
    for await (const bytes of request) text += String(bytes)
    return text
  },
  'by letting it flow': async (request) => {
    const end = once(request, 'end')
    request.resume()
    await end
    return ''
  },
}

for (const [name, read] of Object.entries(readers)) {
  for (const when of ['at once', 'later']) {
    t.test(`who reads ${name}, ${when}, hears of the end`, async (t) => {
      const answer = await talk(t, head('GET') + head('GET', LAST), async (request, response) => {
        if (when === 'later') await new Promise((resolve) => setImmediate(resolve))
        response.end(`<${await read(request)}>`)
      })
      t.equal(answer.match(/<>/g)?.length, 2)
    })
  }
}

t.test('a body is read to its end', async (t) => {
  const sent = `${head('PUT', ['content-length: 3'])}abc${head('PUT', ['content-length: 0', ...LAST])}`
  const answer = await talk(t, sent, async (request, response) => {
    response.end(`<${await readers['by events']!(request)}>`)
  })
  t.match(answer, /<abc>[\s\S]*<>/)
})

t.test('a body that nobody reads does not stand in the way of the next request', async (t) => {
  const sent = `${head('PUT', ['content-length: 3'])}abc${head('GET', LAST)}`
  const answer = await talk(t, sent, (request, response) => response.end(`<${request.method}>`))
  t.match(answer, /<PUT>[\s\S]*<GET>/)
})

t.test('what nobody reads has ended when its reply is out, and says so to nobody', async (t) => {
  const requests: GatewayRequest[] = []
  let ends = 0
  const emit = GatewayRequest.prototype.emit
  await talk(t, head('GET') + head('HEAD', LAST), (request, response) => {
    requests.push(request)
    request.emit = function (this: GatewayRequest, name: string, ...rest: unknown[]) {
      if (name === 'end') ends += 1
      return Reflect.apply(emit, this, [name, ...rest])
    } as typeof emit
    t.notOk(request.readableEnded)
    response.end()
  })
  t.strictSame(
    requests.map(({ readableEnded, complete }) => [readableEnded, complete]),
    [
      [true, true],
      [true, true],
    ],
  )
  t.equal(ends, 0)
})
