// Addresses of nodes as they register them: one that gives none that can be asked is left out, and is nobody else's end.
import t from 'tap'
import { followOrigins, type OriginsParts } from '../../../src/cluster/origins.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { Peers } from '../../../src/storage-node/rpc/peers.ts'
import { identityOf } from '../../support/node-pair.ts'

t.test('a node with a wrong address is one that can not be reached', async (t) => {
  const peers = new Peers({ identity: identityOf('n0') }, realWorld())
  t.teardown(() => peers.close())
  const nodes = [
    { id: 'n0', address: 'http://itself:1' },
    { id: 'n1', address: 'http://node-1:99999' },
    { id: 'n2', address: 'http://127.0.0.1:9' },
  ]
  const said: unknown[] = []
  let change = (): void => {}
  const log = { ...silentLog, error: (data: unknown) => said.push(data) }
  const parts = {
    ...{ peers, log },
    nodes: { list: () => nodes },
    mirror: {
      onChange: (tell: () => void) => {
        change = tell
        return () => {}
      },
    },
  } as unknown as OriginsParts
  followOrigins(parts, 'n0')
  change()
  t.same(said, [{ node: 'n1', address: 'http://node-1:99999' }], 'said once')
  t.same(
    ['n0', 'n1', 'n2'].map((id) => peers.nodeOf(id) !== undefined),
    [false, false, true],
  )
  nodes[1]!.address = 'http://127.0.0.1:10'
  change()
  t.ok(peers.nodeOf('n1'), 'once it is right it counts')
})

t.test('connections that can not be closed are told of', async (t) => {
  const said: unknown[] = []
  const log = { ...silentLog, error: (data: unknown) => said.push(data) }
  const peers = { setOrigins: async () => Promise.reject(new Error('hangs')) }
  const parts = { log, peers, nodes: { list: () => [] }, mirror: { onChange: () => () => {} } }
  followOrigins(parts as unknown as OriginsParts)
  await new Promise((resolve) => setImmediate(resolve))
  t.match(said, [{ error: { message: 'hangs' } }])
})
