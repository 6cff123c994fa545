// A body that the store refuses in its midst, over a link: the client hears why, however much of it was still to come.
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import type { Call, Reply } from '../../../src/gateway/call.ts'
import { type Clock, realWorld } from '../../../src/kit/world.ts'
import type { Body, ObjectStore } from '../../../src/objects/object-store.ts'
import { signHeaders, startGateway } from '../gateway/server-fixture.ts'
import { linkPut } from './linked-put.ts'

const BODY_BYTES = 3 * 1024 * 1024

/** What a full store does after some of a body. */
async function putIntoFull({ body }: { body: Body }): Promise<void> {
  let taken = 0
  for await (const chunk of body.chunks) {
    taken += chunk.length
    if (taken > 300_000) throw Object.assign(new Error('no room'), { code: 'STORE_FULL' })
  }
}

/** Nothing is ever late: what waits for the client ends when the client has done its part, or never. */
const patient: Clock = {
  ...realWorld().clock,
  sleep: (_ms, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    }),
}

t.test('who sends all of it before it reads gets the answer, and a clean end', async (t) => {
  const objects = await linkPut(t, putIntoFull)
  const operation = async ({ body, signal }: Call): Promise<Reply> => {
    const { chunks } = body.open('CRC64NVME')
    const finish = () => t.fail('the store refuses it before its end')
    const opened = { bytes: BODY_BYTES, chunks, finish }
    await objects.put({ body: opened, signal } as unknown as Parameters<ObjectStore['put']>[0])
    return { status: 200 }
  }
  const world = { ...realWorld(), clock: patient }
  const fixture = await startGateway(t, {}, { operation, world })
  const headers = signHeaders(fixture.host, {
    ...{ method: 'PUT', url: '/bkt/k' },
    headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  })
  const socket = connect(fixture.port, '127.0.0.1')
  let trouble: Error | undefined
  socket.on('error', (error) => {
    trouble = error
  })
  socket.pause()
  const lines = Object.entries({ ...headers, 'content-length': String(BODY_BYTES) })
  socket.write(
    `PUT /bkt/k HTTP/1.1\r\n${lines.map((pair) => pair.join(': ')).join('\r\n')}\r\n\r\n`,
  )
  const chunk = Buffer.alloc(65_536)
  for (let sent = 0; sent < BODY_BYTES; sent += chunk.length) {
    await new Promise<void>((resolve) => socket.write(chunk, () => resolve()))
    // So that it is in its midst when it is refused.
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  let answer = ''
  socket.on('data', (part) => {
    answer += String(part)
  })
  socket.resume()
  await once(socket, 'close')
  t.match(answer, /^HTTP\/1.1 507 /)
  t.match(answer, '</Error>')
  t.equal(trouble, undefined)
})
