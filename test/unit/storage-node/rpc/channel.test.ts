// An exchange of messages goes on until it is old, lost or refused: then another takes its place, and nothing is done twice.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { realWorld } from '../../../../src/kit/world.ts'
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

const UNKNOWN = { code: 'NODE_UNREACHABLE', outcome: 'unknown' }
const NOT_SENT = { code: 'NODE_UNREACHABLE', outcome: 'not-sent' }

async function ask(peer: Peer, text: string, waitMs = 60_000): Promise<string> {
  const request = { type: TYPE, body: Buffer.from(text), deadlineMs: peer.nowMs + waitMs }
  return Buffer.from(await peer.ask('lane', request)).toString()
}

/** A node that notes what it does, and does not answer what is to hang before it is let go. */
function openService() {
  const done: string[] = []
  let letGo = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const service = answering(async (body) => {
    const text = Buffer.from(body).toString()
    done.push(text)
    if (text.startsWith('hang')) await hanging
    return body
  })
  return { service, done, letGo }
}

/** Passes connections on; `hold` keeps what is sent on those that there are, as a way does that is cut. */
async function openWay(t: Test, port: number) {
  const ways: { from: Socket; to: Socket }[] = []
  const server = createServer((from) => {
    const to = connect(port, '127.0.0.1')
    for (const socket of [from, to]) socket.on('error', () => undefined)
    from.on('close', () => to.destroy())
    to.on('close', () => from.destroy())
    from.pipe(to)
    to.pipe(from)
    ways.push({ from, to })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const { from } of ways) from.destroy()
    server.close()
  })
  const hold = (): void => {
    for (const { from, to } of ways) {
      from.unpipe(to)
      from.pause()
    }
  }
  const { port: wayPort } = server.address() as { port: number }
  return { origin: `http://127.0.0.1:${wayPort}`, hold, count: () => ways.length }
}

t.test('a connection that carries nothing any more is left', async (t) => {
  const { service, done } = openService()
  const { port } = await startNode(t, service)
  const way = await openWay(t, port)
  const peer = openPeer(t, { origin: way.origin })
  t.equal(await ask(peer, 'one'), 'one')
  const before = way.count()
  way.hold()
  await t.rejects(ask(peer, 'two', 100), UNKNOWN)
  t.equal(await ask(peer, 'three'), 'three')
  t.ok(way.count() > before, 'on another one')
  t.same(done, ['one', 'three'])
})

t.test('what was not answered in time takes nothing from the others', async (t) => {
  const { service, letGo } = openService()
  const { origin } = await startNode(t, service)
  const peer = openPeer(t, { origin })
  const hanging = ask(peer, 'hang')
  await t.rejects(ask(peer, 'hang as well', 100), UNKNOWN)
  t.equal(await ask(peer, 'other'), 'other')
  letGo()
  t.equal(await hanging, 'hang', 'it is waited for yet')
})

t.test('a node that closes takes no more, and who asks can count on that', async (t) => {
  const { service, done, letGo } = openService()
  const { origin, server } = await startNode(t, service)
  const peer = openPeer(t, { origin })
  t.equal(await ask(peer, 'one'), 'one')
  const underWay = ask(peer, 'hang')
  // Later ones are behind it on the same connection.
  while (!done.includes('hang')) await realWorld().clock.sleep(1)
  const closing = server.close({ deadlineMs: 60_000 })
  const after = [ask(peer, 'two'), ask(peer, 'three')]
  for (const asked of after) await t.rejects(asked, NOT_SENT)
  letGo()
  t.equal(await underWay, 'hang')
  await closing
  t.same(done, ['one', 'hang'])
})

t.test('an exchange that nothing goes through ends when its node closes', async (t) => {
  const { service } = openService()
  const { origin, server } = await startNode(t, service)
  const peer = openPeer(t, { origin })
  t.equal(await ask(peer, 'one'), 'one')
  await server.close({ deadlineMs: 3_600_000 })
  t.pass('long before its deadline')
})

t.test('a secret that was taken away ends an exchange that is under way', async (t) => {
  let ofNode: Uint8Array[] = [SECRET]
  let ofAsker: Uint8Array[] = [SECRET]
  const { service, done, letGo } = openService()
  const { origin } = await startNode(t, service, {
    identity: { ...identityOf('n1'), secrets: () => ofNode },
  })
  const peer = openPeer(t, { origin, identity: { ...identityOf('g1'), secrets: () => ofAsker } })
  const underWay = ask(peer, 'hang')
  while (done.length === 0) await realWorld().clock.sleep(1)
  ofNode = [OTHER_SECRET]
  await t.rejects(ask(peer, 'two'), NOT_SENT, 'and the asker has no other one')
  letGo()
  t.equal(await underWay, 'hang', 'what was begun before is answered')
  ofAsker = [OTHER_SECRET]
  t.equal(await ask(peer, 'three'), 'three')
  t.same(done, ['hang', 'three'])
})
