// A pass that a person asks a cluster for: who was told of it, and who did not answer.
import t from 'tap'
import { beginClusterHeal, type ClusterHealingParts } from '../../../src/cluster/cluster-healing.ts'
import { FieldWriter } from '../../../src/storage-node/rpc/fields.ts'

t.test('a node that does not answer is not said to have been told', async (t) => {
  const drives = ['a', 'b', 'b', 'c'].map((nodeId, at) => ({ id: at + 1, nodeId }))
  const ask = async (nodeId: string): Promise<Uint8Array> => {
    if (nodeId === 'b') throw new Error('connection refused')
    const fields = new FieldWriter()
    fields.u64(nodeId === 'a' ? 4 : 7)
    return fields.end()
  }
  const parts = {
    coordinator: { state: { map: { drives } } },
    peers: { ask },
    clock: { now: () => 5, monotonicMs: () => 0 },
  } as unknown as ClusterHealingParts
  t.same(await beginClusterHeal(parts), {
    askedMs: 5,
    scrubsEnded: 11,
    nodes: { a: 4, c: 7 },
    silent: ['b'],
  })
})
