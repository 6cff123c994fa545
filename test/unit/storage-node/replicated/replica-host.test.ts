// Replicas of a partition on several nodes: what is acknowledged is on majorities, and stays whatever happens to a minority.
import t from 'tap'
import { NOTHING } from '../../../crash/forgetful-machine.ts'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

const P = 3

async function serving(cluster: ReplicaCluster) {
  await cluster.until('a partition is served', () => cluster.reignOf(P) !== undefined)
  return cluster.reignOf(P)!
}

t.test('a partition is served, and what is appended can be read', async (t) => {
  const cluster = await ReplicaCluster.make(3)
  await cluster.found(P, [1, 2, 3])
  const reign = await serving(cluster)
  const [first, second] = await cluster.wait(
    Promise.all([reign.log.append(put('a', '1')), reign.log.append(put('b', '2'))]),
  )
  t.equal(second.sequence, first.sequence + 1, 'in the order of the calls')
  t.equal(await cluster.wait(read(reign, 'a')), '1')
  t.equal(await cluster.wait(read(reign, 'c')), undefined)
  await cluster.step(3)
  for (const id of [1, 2, 3]) {
    t.match(cluster.host(id).replicas(), [{ partition: P, applied: second.sequence }])
  }
  await cluster.close()
})

t.test('all nodes lose their power, and nothing that was acknowledged is lost', async (t) => {
  const cluster = await ReplicaCluster.make(3)
  await cluster.found(P, [1, 2, 3])
  let reign = await serving(cluster)
  for (let round = 0; round < 5; round += 1) {
    for (let write = 0; write < 10; write += 1) {
      await cluster.wait(reign.log.append(put(`k${write}`, `${round}`)))
    }
    for (const id of [1, 2, 3]) cluster.crash(id, NOTHING)
    for (const id of [1, 2, 3]) await cluster.start(id)
    t.equal(cluster.host(1).replicas().length, 1, 'the replica begins')
    reign = await serving(cluster)
    for (let write = 0; write < 10; write += 1) {
      t.equal(await cluster.wait(read(reign, `k${write}`)), `${round}`)
    }
  }
  await cluster.close()
})

t.test('another replica takes over when the primary is gone', async (t) => {
  const cluster = await ReplicaCluster.make(3)
  await cluster.found(P, [1, 2, 3])
  const before = await serving(cluster)
  await cluster.wait(before.log.append(put('a', '1')))
  cluster.cut.add(1)
  const open = before.log.append(put('a', '2'))
  open.catch(() => undefined)
  await cluster.until('another one serves', () => (cluster.reignOf(P)?.epoch ?? 0) > before.epoch)
  const after = cluster.reignOf(P)!
  t.equal(await cluster.wait(read(after, 'a')), '1', 'what majorities have, and nothing else')
  await t.rejects(cluster.wait(read(before, 'a')), { code: 'METADATA_UNAVAILABLE' })
  await cluster.wait(after.log.append(put('a', '3')))
  cluster.cut.clear()
  await cluster.until('the old one hears of it', () => before.ended.aborted)
  await t.rejects(open, { code: 'METADATA_UNAVAILABLE' })
  await t.rejects(before.log.append(put('a', '4')), { code: 'METADATA_UNAVAILABLE' })
  await t.rejects(before.log.rows.get(Buffer.from('a')), { code: 'METADATA_UNAVAILABLE' })
  await cluster.until('it follows', () => cluster.host(1).replicas()[0]?.role === 'replica')
  t.equal(await cluster.wait(read(after, 'a')), '3')
  await cluster.close()
})

t.test('who fell behind the log gets all rows anew, and none that are gone', async (t) => {
  const cluster = await ReplicaCluster.make(3)
  const [, , three] = await cluster.found(P, [1, 2, 3])
  const reign = await serving(cluster)
  for (const key of ['gone', 'kept', 'changed', 'back'])
    await cluster.wait(reign.log.append(put(key, 'before')))
  await cluster.step(3)
  cluster.cut.add(3)
  const remove = (key: string) => reign.log.append([{ key: Buffer.from(key), value: undefined }])
  await cluster.wait(remove('gone'))
  await cluster.wait(remove('back'))
  await cluster.wait(reign.log.append(put('changed', 'after')))
  await cluster.wait(reign.log.append(put('back', 'again')))
  // Far more than logs keep in memory, and than lies in their files before rows are durable.
  for (let write = 0; write < 60; write += 1)
    await cluster.wait(reign.log.append(put(`k${write}`, 'x'.repeat(500))))
  await cluster.step(20)
  t.equal(cluster.copies, 0)
  cluster.cut.clear()
  await cluster.until('it has caught up', () => {
    const [ahead, behind] = [1, 3].map((id) => cluster.host(id).replicas()[0]!)
    return cluster.copies > 0 && behind!.applied === ahead!.applied && behind!.applied >= 60
  })
  // Also after it lost its power, and in a reign of its own: of rows that it had before nothing is left.
  cluster.crash(3, NOTHING)
  await cluster.start(3)
  cluster.reignOf(P)!.handOver([three!])
  await cluster.until('it leads', () => cluster.decisions.get(P)!.primary === three)
  const own = await serving(cluster)
  t.equal(await cluster.wait(read(own, 'gone')), undefined)
  t.equal(await cluster.wait(read(own, 'kept')), 'before')
  t.equal(await cluster.wait(read(own, 'changed')), 'after')
  t.equal(await cluster.wait(read(own, 'back')), 'again')
  t.ok(await cluster.wait(read(own, 'k59')))
  await cluster.close()
})

t.test('a drive is lost, and a new replica learns by copied rows', async (t) => {
  const cluster = await ReplicaCluster.make(4)
  const [one, two] = await cluster.found(P, [1, 2, 3])
  const reign = await serving(cluster)
  for (let write = 0; write < 60; write += 1) {
    await cluster.wait(reign.log.append(put(`k${write}`, 'x'.repeat(500))))
  }
  const { life } = cluster.node(3)
  life!.drive.fail(new Error('lost'))
  t.same(cluster.host(3).replicas(), [])
  await cluster.step(10)
  const four = await cluster.host(4).prepare(4, P)
  t.equal(await cluster.host(4).prepare(4, P), four, 'there is one already')
  reign.want([one!, two!, four])
  await cluster.until('the new one counts', () => {
    const decision = cluster.decisions.get(P)!
    return decision.previous === undefined && decision.replicas.includes(four)
  })
  t.same(cluster.decisions.get(P)!.replicas.length, 3)
  cluster.crash(2, NOTHING)
  const now = await serving(cluster)
  for (let write = 0; write < 60; write += 1) {
    t.ok(await cluster.wait(read(now, `k${write}`)))
  }
  cluster.crash(4, NOTHING)
  await cluster.start(4)
  cluster.crash(1, NOTHING)
  await cluster.start(2)
  const last = await serving(cluster)
  t.ok(await cluster.wait(read(last, 'k59')), 'also when only the new one and one more are left')
  await cluster.close()
})
