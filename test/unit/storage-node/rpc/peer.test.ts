// Asking another node: batches, bounds, and what is known of a request that got no answer.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Overloaded } from '../../../../src/kit/semaphore.ts'
import { realWorld, stayAlive } from '../../../../src/kit/world.ts'
import type { NodeTls } from '../../../../src/storage-node/rpc/node-server.ts'
import type { MessageHandler } from '../../../../src/storage-node/rpc/node-service.ts'
import type { Peer } from '../../../../src/storage-node/rpc/peer.ts'
import {
  answering,
  identityOf,
  OTHER_SECRET,
  openPeer,
  SECRET,
  startNode,
  TYPE,
} from '../../../support/node-pair.ts'

const echo: MessageHandler = async (body) => body

/** Of one lane. */
const UNDER_WAY = 128

async function ask(peer: Peer, text: string, waitMs = 60_000, lane = 'lane'): Promise<string> {
  const request = { type: TYPE, body: Buffer.from(text), deadlineMs: peer.nowMs + waitMs }
  return Buffer.from(await peer.ask(lane, request)).toString()
}

/** Passes connections on, and can end them all. */
async function openWay(
  t: Test,
  port: number,
): Promise<{ origin: string; cut: () => void; count: () => number }> {
  const sockets = new Set<Socket>()
  let count = 0
  const way = createServer((from) => {
    const to = connect(port, '127.0.0.1')
    count += 1
    for (const socket of [from, to]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    from.pipe(to).pipe(from)
  })
  way.listen(0, '127.0.0.1')
  await once(way, 'listening')
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  t.teardown(() => {
    cut()
    way.close()
  })
  return {
    origin: `http://127.0.0.1:${(way.address() as AddressInfo).port}`,
    cut,
    count: () => count,
  }
}

t.test('many requests at once are answered, each with its own', async (t) => {
  const { origin } = await startNode(t, answering(echo))
  const peer = openPeer(t, { origin })
  const texts = Array.from({ length: 500 }, (_, at) => `request ${at}`)
  t.same(await Promise.all(texts.map((text) => ask(peer, text))), texts)
  const large = Buffer.alloc(5_000_000, 'large')
  const back = await peer.ask('lane', { type: TYPE, body: large, deadlineMs: peer.nowMs + 60_000 })
  t.ok(large.equals(back))
})

t.test('all that is asked goes one way', async (t) => {
  const { origin, port } = await startNode(t, answering(echo))
  const way = await openWay(t, port)
  t.not(origin, way.origin)
  const peer = openPeer(t, { origin: way.origin })
  const texts = Array.from({ length: 128 }, (_, at) => `${at}`)
  await Promise.all(texts.map((text) => ask(peer, text)))
  t.equal(way.count(), 2, 'a connection for the hello, and one for all requests')
})

t.test('what hangs holds up its own lane only', async (t) => {
  let letGo = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const { origin } = await startNode(
    t,
    answering(async (body) => {
      if (Buffer.from(body).toString() === 'hang') await hanging
      return body
    }),
  )
  const peer = openPeer(t, { origin })
  const hung = [1, 2, 3].map(() => ask(peer, 'hang', 60_000, 'sick'))
  t.equal(await ask(peer, 'well', 60_000, 'healthy'), 'well')
  letGo()
  t.same(await Promise.all(hung), ['hang', 'hang', 'hang'])
})

t.test('answers do not wait for each other', async (t) => {
  let letGo = (): void => {}
  const first = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const { origin } = await startNode(
    t,
    answering(async (body) => {
      if (Buffer.from(body).toString() === 'first') await first
      return body
    }),
  )
  const peer = openPeer(t, { origin })
  const both = [ask(peer, 'first'), ask(peer, 'second')]
  t.equal(await both[1], 'second', 'of the same batch')
  letGo()
  t.equal(await both[0], 'first')
})

t.test('nobody there: nothing was sent', async (t) => {
  const { port, server } = await startNode(t, answering(echo))
  await server.close({ deadlineMs: 0 })
  const peer = openPeer(t, { origin: `http://127.0.0.1:${port}` })
  await t.rejects(ask(peer, 'hello'), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
})

t.test('a connection that breaks before the answer: the outcome is unknown', async (t) => {
  let cut = (): void => {}
  let hangs = true
  const { port } = await startNode(
    t,
    answering(async (body) => {
      if (hangs) cut()
      return body
    }),
  )
  const way = await openWay(t, port)
  cut = way.cut
  const peer = openPeer(t, { origin: way.origin })
  await t.rejects(ask(peer, 'hello'), { code: 'NODE_UNREACHABLE', outcome: 'unknown' })
  hangs = false
  t.equal(await ask(peer, 'again'), 'again', 'and the next one is well')
})

t.test('an answer that was changed on its way is not believed', async (t) => {
  const { port } = await startNode(t, answering(echo))
  let isChanging = false
  const way = createServer((from) => {
    const to = connect(port, '127.0.0.1')
    for (const socket of [from, to]) socket.on('error', () => undefined)
    from.pipe(to)
    to.on('data', (bytes: Buffer) => {
      const at = bytes.indexOf('hello')
      if (isChanging && at >= 0) bytes[at]! ^= 1
      from.write(bytes)
    })
    to.on('close', () => from.destroy())
    from.on('close', () => to.destroy())
  })
  way.listen(0, '127.0.0.1')
  await once(way, 'listening')
  t.teardown(() => way.close())
  const peer = openPeer(t, { origin: `http://127.0.0.1:${(way.address() as AddressInfo).port}` })
  t.equal(await ask(peer, 'hello'), 'hello')
  isChanging = true
  await t.rejects(ask(peer, 'hello'), {
    code: 'NODE_UNREACHABLE',
    outcome: 'unknown',
    cause: { code: 'BROKEN_FRAMES' },
  })
})

t.test('a request that is late is given up, and what it hung on is let go', async (t) => {
  const seen: AbortSignal[] = []
  const { origin } = await startNode(
    t,
    answering(async (body, { signal }) => {
      if (Buffer.from(body).toString() !== 'hang') return body
      seen.push(signal)
      await once(signal, 'abort')
      return Buffer.alloc(0)
    }),
  )
  const peer = openPeer(t, { origin })
  await ask(peer, 'hello')
  await t.rejects(ask(peer, 'hang', 1_000), { code: 'NODE_UNREACHABLE', outcome: 'unknown' })
  if (seen[0] && !seen[0].aborted) await once(seen[0], 'abort')
  t.pass('the node has heard of it')
})

t.test('what waited in a lane until it was late was not sent', async (t) => {
  let begun = 0
  const { origin } = await startNode(
    t,
    answering(async (body, { signal }) => {
      begun += 1
      await once(signal, 'abort')
      return body
    }),
  )
  const peer = openPeer(t, { origin })
  const unknown = { code: 'NODE_UNREACHABLE', outcome: 'unknown' }
  const sent: Promise<unknown>[] = []
  for (let count = 0; count < UNDER_WAY; count += 1) {
    sent.push(t.rejects(ask(peer, `${count}`), unknown))
  }
  await t.rejects(ask(peer, 'one more', 50), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
  t.ok(begun <= UNDER_WAY)
  await peer.close()
  await Promise.all(sent)
})

t.test('a node that was restarted is told hello again', async (t) => {
  const first = await startNode(t, answering(echo))
  const peer = openPeer(t, { origin: first.origin })
  t.equal(await ask(peer, 'one'), 'one')
  await first.server.close({ deadlineMs: 0 })
  const again = await startNode(t, answering(echo), {}, first.port)
  t.equal(again.port, first.port)
  // Its old connections may not be known to be closed yet.
  t.equal(await patiently(() => ask(peer, 'two'), 'NODE_UNREACHABLE'), 'two')
})

t.test('a node that is closing says so, and lets what is under way end', async (t) => {
  let letGo = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    letGo = resolve
  })
  let begin = (): void => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const { origin, server } = await startNode(
    t,
    answering(async (body) => {
      begin()
      await hanging
      return body
    }),
  )
  const peer = openPeer(t, { origin })
  const asked = ask(peer, 'under way')
  await begun
  const closing = server.close({ deadlineMs: 60_000 })
  letGo()
  t.equal(await asked, 'under way')
  await closing
  await t.rejects(ask(peer, 'after'), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
})

t.test('what never ends is not waited for by a node that closes', async (t) => {
  let begin = (): void => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const { origin, server } = await startNode(
    t,
    answering(() => {
      begin()
      return new Promise(() => {})
    }),
  )
  const asked = t.rejects(ask(openPeer(t, { origin }), 'for ever'), { code: 'NODE_UNREACHABLE' })
  await begun
  // What is left to wait for are timers, which keep no process alive.
  await stayAlive(Promise.all([server.close({ deadlineMs: 10 }), asked]))
})

t.test('another cluster, another node, other versions', async (t) => {
  const { origin } = await startNode(t, answering(echo), { versions: { oldest: 4, newest: 6 } })
  const far = openPeer(t, { origin })
  await t.rejects(ask(far, 'hello'), { code: 'VERSIONS_TOO_FAR_APART' })
  const stranger = openPeer(t, { origin, identity: identityOf('g1', [OTHER_SECRET]) })
  await t.rejects(ask(stranger, 'hello'), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
  const mistaken = openPeer(t, { origin, to: 'n2' })
  await t.rejects(ask(mistaken, 'hello'), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
})

t.test('secrets are changed while requests go on', async (t) => {
  let ofNode: Uint8Array[] = [SECRET]
  let ofAsker: Uint8Array[] = [SECRET]
  const { origin } = await startNode(t, answering(echo), {
    identity: { ...identityOf('n1'), secrets: () => ofNode },
  })
  const peer = openPeer(t, { origin, identity: { ...identityOf('g1'), secrets: () => ofAsker } })
  t.equal(await ask(peer, 'old'), 'old')
  ofAsker = [OTHER_SECRET, SECRET]
  t.equal(await ask(peer, 'asker has both'), 'asker has both')
  ofNode = [OTHER_SECRET, SECRET]
  t.equal(await ask(peer, 'both have both'), 'both have both')
  ofNode = [OTHER_SECRET]
  t.equal(await ask(peer, 'new'), 'new', 'the session of the old one has ended, a new one is begun')
})

t.test('what waits is bounded', async (t) => {
  let letGo = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const { origin } = await startNode(
    t,
    answering(async (body) => {
      if (body.length === 4) await hanging
      return body
    }),
  )
  const limits = { requestBytes: 1000, lanes: 2, payloadBytes: 5000 }
  const peer = openPeer(t, { origin, limits })
  const one = ask(peer, 'x'.repeat(600))
  await t.rejects(ask(peer, 'x'.repeat(600)), Overloaded)
  t.equal((await one).length, 600)
  t.equal((await ask(peer, 'x'.repeat(600))).length, 600, 'afterwards there is room')
  const two = ['a', 'b'].map((lane) => ask(peer, 'hang', 60_000, lane))
  await t.rejects(ask(peer, 'text', 60_000, 'c'), Overloaded)
  letGo()
  await Promise.all(two)
  t.equal(await ask(peer, 'text', 60_000, 'c'), 'text')
})

/** Tries again where it is only a matter of time. */
async function patiently<T>(work: () => Promise<T>, code: string): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      if ((error as { code?: string }).code !== code || tries === 200) throw error
      await realWorld().clock.sleep(5)
    }
  }
}

function makeTls(directory: string): { node: NodeTls; strangers: NodeTls } {
  const make = (name: string, ...more: string[]): void => {
    const path = (end: string): string => join(directory, name + end)
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const files = ['-keyout', path('.key'), '-out', path('.pem')]
    execFileSync(
      'openssl',
      ['req', '-x509', '-days', '1', '-subj', `/CN=${name}`, ...key, ...files, ...more],
      {
        stdio: 'ignore',
      },
    )
  }
  writeFileSync(join(directory, 'empty'), '')
  const san = ['-addext', 'subjectAltName=IP:127.0.0.1']
  make('node', ...san)
  make('stranger', ...san)
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8')
  const node = { cert: read('node.pem'), key: read('node.key'), ca: read('node.pem') }
  return { node, strangers: { ...node, cert: read('stranger.pem'), key: read('stranger.key') } }
}

t.test('mutual TLS', async (t) => {
  const { node, strangers } = makeTls(t.testdir())
  const { origin, port } = await startNode(t, answering(echo), { tls: node })
  const peer = openPeer(t, { origin, tls: node })
  t.equal(await ask(peer, 'hello'), 'hello')
  const stranger = openPeer(t, { origin, tls: strangers })
  await t.rejects(ask(stranger, 'hello'), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
  const plain = openPeer(t, { origin: `http://127.0.0.1:${port}` })
  await t.rejects(ask(plain, 'hello'), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
})
