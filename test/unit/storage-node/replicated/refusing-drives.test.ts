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

t.test('a full drive is closed while replicas are made on it', async (t) => {
  const cluster = await served(1)
  const { machine } = cluster.node(1)
  const reign = cluster.reignOf(P)!
  machine.disk.capacityBytes = 0
  let isTaken = true
  for (let write = 0; write < 40 && isTaken; write += 1) {
    isTaken = false
    reign.log.append(put(`k${write}`, 'x'.repeat(5000))).then(
      () => {
        isTaken = true
      },
      () => undefined,
    )
    await cluster.step(3)
  }
  t.notOk(isTaken, 'the drive takes no more')
  const making: Promise<unknown>[] = []
  let isMade = true
  for (let partition = 5; partition < 60 && isMade; partition += 1) {
    isMade = false
    const made = cluster.host(1).prepare(1, partition)
    making.push(made)
    made.then(
      () => {
        isMade = true
      },
      () => undefined,
    )
    await cluster.step(4)
  }
  const queued = cluster.host(1).prepare(1, 100)
  const closing = cluster.stop(1)
  await t.rejects(making.at(-1)!, /writes no more/)
  await t.rejects(queued, /is closed/)
  await cluster.wait(closing)
  machine.disk.capacityBytes = Number.MAX_SAFE_INTEGER
  await cluster.start(1)
  await cluster.until('it is served again', () => cluster.reignOf(P) !== undefined)
  t.equal((await cluster.wait(read(cluster.reignOf(P)!, 'k0')))?.length, 5000)
  await cluster.close()
})
