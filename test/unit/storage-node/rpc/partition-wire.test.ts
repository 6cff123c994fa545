// Partitions over real sockets: two nodes, a gateway, and a page of a listing that is one exchange with each node.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import type { MetadataPartition } from '../../../../src/metadata/contract.ts'
import type { NodeService } from '../../../../src/storage-node/rpc/node-service.ts'
import { PartitionService } from '../../../../src/storage-node/rpc/partition-service.ts'
import { Peers } from '../../../../src/storage-node/rpc/peers.ts'
import { remotePartitions } from '../../../../src/storage-node/rpc/remote-partition.ts'
import { identityOf, startNode } from '../../../support/node-pair.ts'
import {
  bucket,
  everything,
  openFixture,
  Store,
  TestClock,
} from '../../metadata/partition-fixture.ts'

const PARTITIONS = 16

/** Tells exchanges apart: all messages of one end with the same signal. */
function counting(service: PartitionService, exchanges: Set<AbortSignal>): NodeService {
  const messages = [...service.messages].map(([type, handler]) => {
    const counted: typeof handler = (body, context) => {
      exchanges.add(context.signal)
      return handler(body, context)
    }
    return [type, counted] as const
  })
  return { messages: new Map(messages), streams: service.streams }
}

t.test('commands and listings go to the nodes that lead', async (t) => {
  const clock = new TestClock()
  const led = await Promise.all(
    Array.from(
      { length: PARTITIONS },
      async () => (await openFixture({}, undefined, clock)).partition,
    ),
  )
  const primaryOf = (id: number): string => (id % 2 === 0 ? 'n1' : 'n2')
  const exchanges = new Set<AbortSignal>()
  const origins = new Map<string, string>()
  for (const nodeId of ['n1', 'n2']) {
    const findLed = (id: number): MetadataPartition | undefined =>
      primaryOf(id) === nodeId ? led[id] : undefined
    const service = new PartitionService({
      ...{ findLed, primaries: { primaryOf }, clock: realWorld().clock, log: silentLog },
    })
    const identity = identityOf(nodeId)
    const { origin } = await startNode(t, counting(service, exchanges), { identity })
    origins.set(nodeId, origin)
  }
  const peers = new Peers({ identity: identityOf('g1') }, realWorld())
  t.teardown(() => peers.close())
  await peers.setOrigins(origins)
  // What was heard of one partition is wrong.
  const hints = {
    primaryOf: (id: number) => (id === 3 ? 'n1' : primaryOf(id)),
    watch: () => () => {},
  }
  const { partitions } = remotePartitions(PARTITIONS, {
    ...{ primaries: hints, transport: peers, world: realWorld() },
  })
  for (const [id, partition] of partitions.entries()) {
    const store = new Store({ ...led[id]!, ...partition }, clock)
    t.match(await store.put(`key ${id}`, `${id}`), { kind: 'done', version: { etag: `${id}` } })
    t.match(await partition.getObject(bucket, `key ${id}`), { etag: `${id}` })
  }
  exchanges.clear()
  const pages = await Promise.all(partitions.map((partition) => partition.scanObjects(everything)))
  for (const [id, page] of pages.entries()) {
    t.match(page, { entries: [{ kind: 'entry', key: `key ${id}` }], more: false })
  }
  t.equal(exchanges.size, 2, 'one exchange with each node')
})
