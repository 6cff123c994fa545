// What goes wrong with messages between replicas: a node that answers what nobody understands got what was said to it.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import { replicaIdOf } from '../../../../src/metadata/replication/replica-id.ts'
import { PeerTransport } from '../../../../src/storage-node/replicated/peer-transport.ts'

t.test('an answer that is not understood is told, and what waits is sent', async (t) => {
  const warned: object[] = []
  const log = { ...silentLog, warn: (data: object) => void warned.push(data) }
  const sent: number[] = []
  const send = async (_node: string, bytes: Uint8Array): Promise<Uint8Array> => {
    sent.push(bytes.length)
    await new Promise((resolve) => setImmediate(resolve))
    return Buffer.from('nobody understands this')
  }
  const transport = new PeerTransport({
    ...{ world: realWorld(), log, peers: { send } },
    nodeOf: (driveId) => `n${driveId}`,
  })
  const replica = replicaIdOf({ driveId: 2, incarnation: '0011223344556677' })
  for (let message = 0; message < 5; message += 1) {
    transport.send(replica, Buffer.from('a message'))
    await new Promise((resolve) => process.nextTick(resolve))
  }
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  t.ok(sent.length >= 3, 'two under way at once, and those that waited behind them')
  t.equal(warned.length, sent.length)
  t.match(warned[0], { node: 'n2', error: /BadMessage|BAD_MESSAGE|message/ })
})
