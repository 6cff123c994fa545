// Drives that refuse what replicas write: for want of handles, or of room while the drive is closed.
import t from 'tap'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

const P = 0

async function served(count: number): Promise<ReplicaCluster> {
  const cluster = await ReplicaCluster.make(count, 3)
  await cluster.found(
    P,
    Array.from({ length: count }, (_, index) => index + 1),
  )
  await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
  return cluster
}

t.test('a process without handles for a moment delays writes, and no replica ends', async (t) => {
  const cluster = await served(3)
  const reign = cluster.reignOf(P)!
  let refused = 0
  for (const { machine } of cluster.nodes.values()) {
    machine.disk.fault = ({ kind }) => {
      if (kind !== 'create' || refused >= 12) return undefined
      refused += 1
      return 'EMFILE'
    }
  }
  for (let write = 0; write < 40; write += 1) {
    await cluster.wait(reign.log.append(put(`k${write}`, 'x'.repeat(4000))))
  }
  t.equal(refused, 12)
  t.same(cluster.complaints, [])
  t.ok([...cluster.nodes.values()].every(({ life }) => life?.drive.failure === undefined))
  t.equal((await cluster.wait(read(reign, 'k39')))?.length, 4000)
  await cluster.close()
})
