// Requests that come one behind the other on a connection without waiting for answers.
import { connect } from 'node:net'
import t from 'tap'
import type { Call, Reply } from '../../../src/gateway/call.ts'
import { S3Error } from '../../../src/gateway/s3-error.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import { otherHttp, signHeaders, startGateway, talkRaw } from './server-fixture.ts'

/** A request as it goes over the wire. */
function wire(host: string, url: string, more = ''): string {
  const headers = Object.entries(signHeaders(host, { url }))
  return `GET ${url} HTTP/1.1\r\n${headers.map((pair) => `${pair.join(': ')}\r\n`).join('')}${more}\r\n`
}

t.test('answers come in the order of the requests', async (t) => {
  const fixture = await startGateway(t)
  const keys = ['a', 'b', 'c']
  const requests = keys.map((key, at) =>
    wire(fixture.host, `/bkt/${key}`, at === 2 ? 'connection: close\r\n' : ''),
  )
  const answer = await talkRaw(fixture.port, requests.join(''))
  const told = [...answer.matchAll(/"key":"(.)"/g)].map(([, key]) => key)
  t.strictSame(told, keys)
})

t.test('who goes away takes the requests along that wait behind another', async (t) => {
  // The gateway begins with the next when the last is answered; Node's server runs them beside each other.
  const begun = otherHttp() === 'node' ? 3 : 1
  const registry = new Registry()
  const started = new Set<string>()
  const operation = ({ key, signal }: Call): Reply | Promise<Reply> => {
    started.add(key)
    if (key === 'at once') return { status: 200 }
    if (key !== 'slow') return Promise.resolve({ status: 200, body: { kind: 'text', text: key } })
    return new Promise<Reply>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  }
  const fixture = await startGateway(t, {}, { operation, registry })
  const socket = connect(fixture.port, '127.0.0.1')
  socket.on('error', () => {}) // The gateway breaks off what has no reader.
  socket.write(
    ['slow', 'quick', 'at%20once'].map((key) => wire(fixture.host, `/bkt/${key}`)).join(''),
  )
  while (started.size < begun) await new Promise((resolve) => setTimeout(resolve, 5))
  socket.destroy()
  const inFlight = async (): Promise<string | undefined> =>
    /requests_in_flight (\d+)/.exec(await registry.metrics())?.[1]
  while ((await inFlight()) !== '0') await new Promise((resolve) => setTimeout(resolve, 5))
  const text = await registry.metrics()
  t.match(text, `kintsugi_s3_requests_total{operation="GetObject",status="499"} ${begun}`)
  t.equal(started.size, begun)
})

t.test(
  'what is answered at once is answered in order, gives its turn back and is counted',
  async (t) => {
    const registry = new Registry()
    const operation = ({ key }: Call): Reply | Promise<Reply> => {
      const text = `<${key}>`
      const isText = Number(key) % 2 === 0
      const body: Reply['body'] = isText
        ? { kind: 'text', text }
        : { kind: 'bytes', bytes: Buffer.from(text) }
      const reply: Reply = { status: 200, body }
      if (key === '5') throw new S3Error('NoSuchKey')
      return Number(key) % 3 === 0 ? new Promise((resolve) => setImmediate(resolve, reply)) : reply
    }
    const limits = { inFlight: 2, waiting: 16 }
    const fixture = await startGateway(t, { limits }, { operation, registry })
    const keys = Array.from({ length: 12 }, (_, at) => `${at}`)
    const requests = keys.map((key, at) =>
      wire(fixture.host, `/bkt/${key}`, at === 11 ? 'connection: close\r\n' : ''),
    )
    const answer = await talkRaw(fixture.port, requests.join(''))
    const told = [...answer.matchAll(/<(\d+|Code)>/g)].map(([, key]) => key)
    t.strictSame(told, keys.with(5, 'Code'))
    const text = await registry.metrics()
    t.match(text, 'kintsugi_s3_requests_total{operation="GetObject",status="200"} 11')
    t.match(text, 'kintsugi_s3_requests_total{operation="GetObject",status="404"} 1')
    t.match(text, 'kintsugi_s3_requests_in_flight 0')
  },
)
