// A body that the store refuses in its midst, over a link: the client hears why, however much of it was still to come.
import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import type { Call, Reply } from '../../../src/gateway/call.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { type Clock, realWorld } from '../../../src/kit/world.ts'
import type { Body, ObjectStore } from '../../../src/objects/object-store.ts'
import type { Objects } from '../../../src/objects/objects.ts'
import { linkStore } from '../../../src/store-link/linked-store.ts'
import { LinkServer, type ServedParts } from '../../../src/store-link/serve-link.ts'
import { signHeaders, startGateway } from '../gateway/server-fixture.ts'
import { socketPair } from './socket-pair.ts'

const BODY_BYTES = 3 * 1024 * 1024

/** A store that is full after some of a body. */
const full = {
  listBuckets: () => [],
  put: async ({ body }: { body: Body }) => {
    let taken = 0
    for await (const chunk of body.chunks) {
      taken += chunk.length
      if (taken > 300_000) throw Object.assign(new Error('no room'), { code: 'STORE_FULL' })
    }
  },
}

async function linkFullStore(t: Test): Promise<ObjectStore> {
  const [near, far] = await socketPair(t)
  const objects = new Proxy(full, {
    get: (has, name) => has[name as keyof typeof full] ?? (async () => undefined),
  }) as unknown as Objects
  const nothing = async (): Promise<void> => {}
  const admin = new Proxy({}, { get: (_has, name) => (name === 'drives' ? drives : nothing) })
  const drives = new Proxy({}, { get: () => nothing })
  const news = { join: nothing, leave: nothing, heard: nothing, settled: nothing }
  const credentials = { accessKeyId: 'KEY', secretAccessKey: 'secret' }
  new LinkServer(far, {
    objects,
    admin,
    news,
    credentials,
    log: silentLog,
  } as unknown as ServedParts)
  return (await linkStore(near, () => {})).objects
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
  const objects = await linkFullStore(t)
  const operation = async ({ body, signal }: Call): Promise<Reply> => {
    const { chunks, finish } = body.open('CRC64NVME')
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
