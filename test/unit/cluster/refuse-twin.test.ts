// Two processes with the id of one node: the second is refused, and nobody else is taken for one.
import t from 'tap'
import { refuseTwin } from '../../../src/cluster/refuse-twin.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { answerPings, Peers } from '../../../src/storage-node/rpc/peers.ts'
import { identityOf, OTHER_SECRET, startNode } from '../../support/node-pair.ts'
import { openShippedNodes } from '../../support/shipped-nodes.ts'

const world = realWorld()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

/** What becomes of a start of node n1 that registered there before. */
async function start(address: string | undefined, id = 'n1'): Promise<void> {
  const registered = { protocol: 3, bootId: 'before' }
  const list = [{ ...registered, id: 'n2', address: 'http://127.0.0.1:1' }]
  if (address !== undefined) list.push({ ...registered, id, address })
  await refuseTwin('n1', {
    nodes: { list: () => list },
    openPeers: () => new Peers({ identity: identityOf('n1') }, world),
    clock: world.clock,
  })
}

t.test('a node that runs already is not started again from a copy', async (t) => {
  const { origin } = await startNode(t, answerPings(world.clock))
  await t.rejects(start(origin), { exitCode: 4, message: /n1 runs already, at http.*is a copy/ })
})

t.test('nobody, another node, another cluster and no address are no twin', async (t) => {
  await start(undefined)
  await start('http://127.0.0.1:1')
  await start('10.0.0.7')
  const identity = identityOf('n3')
  const { origin: another } = await startNode(t, answerPings(world.clock), { identity })
  await start(another)
  const stranger = identityOf('n1', [OTHER_SECRET])
  const { origin: strange } = await startNode(t, answerPings(world.clock), { identity: stranger })
  await start(strange)
})

t.test('a node that was ended is started again at once', async (t) => {
  const { origin, server, port } = await startNode(t, answerPings(world.clock))
  await server.close({ deadlineMs: 0 })
  await start(origin)
  await startNode(t, answerPings(world.clock), {}, port)
  await t.rejects(start(origin), { exitCode: 4, message: /runs already/ })
})

t.test('a node asks before it touches its drives', async (t) => {
  const { ids, start: run, stop } = await openShippedNodes(t, 3)
  await t.rejects(run(ids[0]!), { exitCode: 4, message: /runs already/ })
  await stop(ids[0]!)
  await run(ids[0]!)
})
