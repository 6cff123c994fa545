// Replicas of a partition that a recovery has fenced: no reign before the fence goes on, neither where it was heard of nor after a
// restart, and the log of whoever promised it stays as it is.
import t from 'tap'
import type { ReplicaId } from '../../../../src/metadata/replication/decision.ts'
import type { Reigning } from '../../../../src/storage-node/replicated/contract.ts'
import { NOTHING } from '../../../crash/forgetful-machine.ts'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

const P = 3

async function serving(cluster: ReplicaCluster, above = 0): Promise<Reigning> {
  const isServed = (): boolean => (cluster.reignOf(P)?.epoch ?? 0) > above
  await cluster.until('a partition is served', isServed)
  return cluster.reignOf(P)!
}

async function begin(): Promise<{ cluster: ReplicaCluster; ids: ReplicaId[]; reign: Reigning }> {
  const cluster = await ReplicaCluster.make(3)
  const ids = await cluster.found(P, [1, 2, 3])
  const reign = await serving(cluster)
  await cluster.wait(reign.log.append(put('a', '1')))
  await cluster.step(3)
  return { cluster, ids, reign }
}

t.test('a record without a primary ends the reign, until somebody leads again', async (t) => {
  const { cluster, ids, reign } = await begin()
  const epoch = cluster.decisions.fence(P)
  await cluster.step(2)
  t.ok(reign.ended.aborted)
  await t.rejects(cluster.wait(reign.log.append(put('a', '2'))), { name: 'MetadataUnavailable' })
  for (const id of [1, 2, 3]) cluster.crash(id, NOTHING)
  for (const id of [1, 2, 3]) await cluster.start(id)
  await cluster.step(40)
  t.equal(cluster.reignOf(P), undefined, 'after a restart neither')
  const decision = { epoch: epoch + 1, primary: ids[1]!, replicas: ids, previous: undefined }
  cluster.decisions.set(P, decision)
  const later = await serving(cluster, reign.epoch)
  t.equal(await cluster.wait(read(later, 'a')), '1')
  await cluster.close()
})

t.test('whoever was told of it takes nothing more, whatever the others do', async (t) => {
  const { cluster, ids, reign } = await begin()
  const epoch = cluster.decisions.get(P)!.epoch + 1
  const standing = () => cluster.host(3).standing(ids[2]!, P)
  await cluster.wait(cluster.host(3).fence(P, epoch))
  const fenced = standing()
  // The others are a majority, and know of nothing: they acknowledge on in another reign of the decision that they know.
  cluster.decisions.isAway = true
  cluster.cut.add(3)
  for (const id of [1, 2]) await cluster.stop(id)
  for (const id of [1, 2]) await cluster.start(id)
  const later = await serving(cluster, reign.epoch)
  await cluster.wait(later.log.append(put('a', '2')))
  cluster.cut.clear()
  cluster.crash(3, NOTHING)
  await cluster.start(3)
  await cluster.step(20)
  t.same(standing(), fenced, 'it is what was read')
  await cluster.wait(cluster.host(3).fence(P, epoch))
  await cluster.close()
})

t.test('a primary that was told of it acknowledges nothing more', async (t) => {
  const { cluster, ids, reign } = await begin()
  const epoch = cluster.decisions.get(P)!.epoch + 1
  const late = cluster.wait(reign.log.append(put('late', '1')))
  late.catch(() => undefined)
  await cluster.host(1).fence(P, epoch)
  t.ok(reign.ended.aborted)
  await t.rejects(late, { name: 'MetadataUnavailable' })
  const { kind } = cluster.host(1).standing(ids[0]!, P)
  t.equal(kind, 'lives')
  await cluster.close()
})

t.test('one that can not make it durable does not say so', async (t) => {
  const { cluster } = await begin()
  cluster.node(2).machine.disk.powerOffAfter(0)
  const fenced = cluster.host(2).fence(P, cluster.decisions.get(P)!.epoch + 1)
  await t.rejects(cluster.wait(fenced))
  cluster.crash(2, NOTHING)
  await cluster.close()
})
