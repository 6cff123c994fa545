// The other nodes of a cluster: messages and shards go to the one that is meant, wherever it is now.
import t, { type Test } from 'tap'
import { realWorld } from '../../../../src/kit/world.ts'
import type { DriveMoment, StorageNode } from '../../../../src/storage-node/contract.ts'
import { DrivesOfNodes } from '../../../../src/storage-node/drives-of-nodes.ts'
import { MessageType } from '../../../../src/storage-node/rpc/messages.ts'
import type { MessageHandler } from '../../../../src/storage-node/rpc/node-service.ts'
import { joinServices, Peers } from '../../../../src/storage-node/rpc/peers.ts'
import { sampleShard } from '../../../contracts/shard-samples.ts'
import { identityOf, startNode } from '../../../support/node-pair.ts'
import { Seeded } from '../../../support/seeded.ts'

async function startNamed(t: Test, nodeId: string): Promise<string> {
  const answer: MessageHandler = async (bytes, { from }) =>
    Buffer.from(`${from} said ${Buffer.from(bytes)} to ${nodeId}`)
  const messages = new Map<number, MessageHandler>([[MessageType.Metadata, answer]])
  const naming = { messages, streams: new Map() }
  const service = joinServices([naming, { messages: new Map(), streams: new Map() }])
  return (await startNode(t, service, { identity: identityOf(nodeId) })).origin
}

t.test('messages go to the node that is meant', async (t) => {
  const world = realWorld()
  const peers = new Peers({ identity: identityOf('n3') }, world)
  t.teardown(() => peers.close())
  const say = async (to: string): Promise<string> => {
    const options = { deadlineMs: world.clock.monotonicMs() + 60_000, lane: 'one' }
    return Buffer.from(await peers.send(to, Buffer.from('hello'), options)).toString()
  }
  const [first, second] = [await startNamed(t, 'n1'), await startNamed(t, 'n2')]
  await peers.setOrigins(
    new Map([
      ['n1', first],
      ['n2', second],
    ]),
  )
  t.equal(await say('n1'), 'n3 said hello to n1')
  t.equal(await say('n2'), 'n3 said hello to n2')
  const unreachable = { code: 'NODE_UNREACHABLE', outcome: 'not-sent' }
  await t.rejects(say('n4'), unreachable, 'no address')

  await peers.setOrigins(
    new Map([
      ['n1', second],
      ['n2', second],
    ]),
  )
  t.equal(await say('n2'), 'n3 said hello to n2')
  await t.rejects(say('n1'), unreachable, 'who answers at its address is another')
  t.ok(peers.nodeOf('n1'))
  await peers.setOrigins(new Map([['n1', await startNamed(t, 'n1')]]))
  t.equal(await say('n1'), 'n3 said hello to n1', 'it has moved')
  t.notOk(peers.nodeOf('n2'))
})

t.test('drives are passed on to their nodes', async (t) => {
  const asked: string[] = []
  const noting = (name: string): StorageNode => ({
    beginShard: async (driveId, _description, use) => {
      asked.push(`${name} begins on ${driveId} for ${use}`)
      return { write: async () => {}, commit: async () => {}, abort: async () => {} }
    },
    hasRoom: () => name === 'roomy',
    openShard: async (driveId) => {
      asked.push(`${name} opens on ${driveId}`)
      return { kind: 'missing' }
    },
    deleteShard: async (driveId) => {
      asked.push(`${name} deletes on ${driveId}`)
    },
    momentOn: async (driveId) => `of ${name} on ${driveId}` as DriveMoment,
    deleteUntouched: async (driveId, _id, since) => {
      asked.push(`${name} deletes on ${driveId} what is older than ${since}`)
      return true
    },
    keepShard: async (driveId) => {
      asked.push(`${name} keeps on ${driveId}`)
    },
  })
  const nodes = new Map([
    [1, noting('roomy')],
    [2, noting('full')],
  ])
  const drives = new DrivesOfNodes((driveId) => nodes.get(driveId))
  const { description } = sampleShard(new Seeded(1), 10)
  await drives.beginShard(1, description)
  await drives.beginShard(2, description, 'move')
  await drives.openShard(1, description.id)
  await drives.deleteShard(2, description.id)
  await drives.keepShard(1, description.id)
  t.ok(await drives.deleteUntouched(2, description.id, await drives.momentOn(1)))
  t.same(asked, [
    'roomy begins on 1 for data',
    'full begins on 2 for move',
    'roomy opens on 1',
    'full deletes on 2',
    'roomy keeps on 1',
    'full deletes on 2 what is older than of roomy on 1',
  ])
  t.same(
    [1, 2, 3].map((driveId) => drives.hasRoom(driveId, 10, 'data')),
    [true, false, true],
  )
  const unknown = { code: 'DRIVE_UNAVAILABLE', trouble: 'unknown' }
  await t.rejects(drives.openShard(3, description.id), unknown)
  await t.rejects(drives.beginShard(3, description), unknown)
  await t.rejects(drives.deleteShard(3, description.id), unknown)
})
