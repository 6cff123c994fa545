// Rows that are copied while the partition is written: what comes meanwhile is there for whoever copies.
import t from 'tap'
import { ReplicaHost } from '../../../../src/storage-node/replicated/replica-host.ts'
import { put, ReplicaCluster } from './replica-cluster.ts'

const P = 2

t.test('a replica that copies rows under steady load catches up after one copy', async (t) => {
  const cluster = await ReplicaCluster.make(3)
  const { serveRows } = ReplicaHost.prototype
  // In twenty steps more is written than is kept for who is not heard.
  ReplicaHost.prototype.serveRows = async function* (this: ReplicaHost, ...of) {
    for await (const page of serveRows.apply(this, of)) {
      await cluster.clock.sleep(10_000)
      yield page
    }
  }
  t.teardown(() => {
    ReplicaHost.prototype.serveRows = serveRows
  })
  await cluster.found(P, [1, 2, 3])
  await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
  const appliedOn = (id: number): number => cluster.host(id).replicas()[0]!.applied
  const failures: unknown[] = []
  const load = async (steps: number): Promise<void> => {
    for (let step = 0; step < steps; step += 1) {
      for (const key of ['a', 'b']) {
        const write = cluster.reignOf(P)!.log.append(put(`${key}${step % 9}`, 'x'.repeat(200)))
        write.catch((error) => failures.push(error))
      }
      await cluster.step()
    }
  }
  cluster.cut.add(3)
  await load(40)
  cluster.cut.delete(3)
  await load(60)
  t.equal(cluster.copies, 1)
  const lack = appliedOn(1) - appliedOn(3)
  t.ok(lack <= 8, `it lacks ${lack} entries of ${appliedOn(1)}`)
  t.same([...failures, ...cluster.complaints], [])
  await cluster.close()
})
