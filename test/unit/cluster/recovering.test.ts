// What keeps a recovery from acting by an etcd that nodes refuse: a restored backup, and one that goes away.
import t from 'tap'
import { refuseOlder } from '../../../src/cluster/recovering.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { answerWhatItKnows } from '../../../src/storage-node/rpc/knowledge-messages.ts'
import type { RequestContext } from '../../../src/storage-node/rpc/node-service.ts'
import { addBucket, makeCluster, membersOf } from '../../contracts/etcd-coordinator.contract.ts'
import { openEtcdInMemory } from '../../support/etcd-in-memory.ts'

await prepareDigests()

// Timers of the store keep no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

t.test('a recovery does not act by an etcd that a node refuses', async (t) => {
  const opened = await openEtcdInMemory()
  const { world } = opened
  await makeCluster(opened)
  const { start } = await membersOf(t, opened)
  const node = (await start()).coordinator
  const peers = {
    ask: async (_to: string, { type, body }: { type: number; body: Uint8Array }) => {
      const answer = answerWhatItKnows(() => node.mirror.knowledge).messages.get(type)!
      return (await answer(body, {} as RequestContext)) as Uint8Array
    },
  }
  /** As a command opens it: it knows what etcd says. */
  const refuse = async (): Promise<void> => {
    const { mirror } = (await start()).coordinator
    await refuseOlder({ world, peers, mirror, nodes: () => ['node'] })
  }
  await t.resolves(refuse())
  await opened.backUp()
  await node.decide(addBucket('later'))
  await t.resolves(refuse(), 'etcd has what the node knows')
  await opened.restoreBackup()
  await t.rejects(refuse(), { exitCode: 4, message: /as node node knows.*restore-coordinator/ })
})

t.test('nor by one that went away meanwhile', async (t) => {
  const standing = { kind: 'away', sinceMs: 1, why: 'connection refused' } as const
  const mirror = { hear: async () => undefined, standing }
  const peers = { ask: async () => new Uint8Array() }
  const { world } = await openEtcdInMemory()
  const asking = refuseOlder({ world, peers, mirror, nodes: () => [] })
  await t.rejects(asking, { exitCode: 1, message: /connection refused/ })
})
