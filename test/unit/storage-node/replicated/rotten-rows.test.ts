// Rows that can not be read, where whoever has them leads: another replica is asked to, and nobody is without those that can be read.
import t, { type Test } from 'tap'
import type { ReplicaId } from '../../../../src/metadata/replication/decision.ts'
import { Suspects } from '../../../../src/storage-node/replicated/suspects.ts'
import { UnwantedReign } from '../../../../src/storage-node/replicated/unwanted-reign.ts'
import { EVERYTHING } from '../../../crash/forgetful-machine.ts'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

const P = 2
const KEYS = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7']

/** Node 1 leads, and node 2 has the other replica: neither can do anything alone. Node 3 has none. */
async function written(): Promise<{ cluster: ReplicaCluster; one: ReplicaId; two: ReplicaId }> {
  const cluster = await ReplicaCluster.make(3)
  const [one, two] = await cluster.found(P, [1, 2])
  await served(cluster)
  for (const key of KEYS) await cluster.wait(cluster.reignOf(P)!.log.append(put(key, key)))
  return { cluster, one: one!, two: two! }
}

async function served(cluster: ReplicaCluster): Promise<void> {
  await cluster.until('a partition is served', () => cluster.reignOf(P) !== undefined)
}

async function rot(cluster: ReplicaCluster, node: number, key: string): Promise<void> {
  const flip = (value: Uint8Array): void => {
    value[value.length - 1]! ^= 1
  }
  const isRow = (stored: Uint8Array): boolean => Buffer.from(stored).includes(key)
  await cluster.node(node).machine.levels.rot('/drive/meta.db', isRow, flip)
}

async function readAll(t: Test, cluster: ReplicaCluster, keys = KEYS): Promise<void> {
  for (const key of keys) t.equal(await cluster.wait(read(cluster.reignOf(P)!, key)), key)
}

t.test('a replica with a rotten row lets another one lead, and gets its rows anew', async (t) => {
  const { cluster, one, two } = await written()
  await rot(cluster, 1, 'a5')
  await t.rejects(cluster.wait(read(cluster.reignOf(P)!, 'a5')), /damaged/)
  await cluster.until('the other one leads', () => cluster.decisions.get(P)!.primary === two)
  await served(cluster)
  await readAll(t, cluster)
  await cluster.step(10)
  t.match(cluster.host(1).standing(one, P), { kind: 'lives' }, 'nobody suspects it any more')
  t.ok(cluster.reignOf(P)!.handOver([one]))
  await cluster.until(
    'it leads',
    () => cluster.node(1).life!.reigns.get(P)?.ended.aborted === false,
  )
  await readAll(t, cluster)
  await cluster.step(200)
  t.equal(cluster.decisions.get(P)!.primary, one, 'and goes on')
  await cluster.close()
})

t.test('a replica that is to come finds out that the rows of the leader are rotten', async (t) => {
  const { cluster, one, two } = await written()
  await rot(cluster, 1, 'a5')
  const three = await cluster.host(3).prepare(3, P)
  // Its log does not begin where that of a new replica does: rows have to be copied.
  for (let more = 0; more < 40; more += 1)
    await cluster.wait(cluster.reignOf(P)!.log.append(put('b', `${more}`)))
  await cluster.step(20)
  await cluster.until('the one that leaves has left', () => {
    // As a node does that leads: nobody else knows of it.
    cluster.reignOf(P)?.want([one, three])
    const { replicas, previous } = cluster.decisions.get(P)!
    return previous === undefined && replicas.includes(three) && !replicas.includes(two)
  })
  await cluster.stop(2)
  await served(cluster)
  await readAll(t, cluster)
  t.match(cluster.host(1).standing(one, P), { kind: 'lives' })
  await cluster.close()
})

t.test('where all have rotten rows what can be read is served, and the lead rests', async (t) => {
  const { cluster, one, two } = await written()
  await rot(cluster, 1, 'a5')
  await rot(cluster, 2, 'a6')
  await t.rejects(cluster.wait(read(cluster.reignOf(P)!, 'a5')), /damaged/)
  const isSuspect = (node: number, id: ReplicaId): boolean =>
    cluster.host(node).standing(id, P).kind === 'suspect'
  // That of the other one is found when the first one asks for its rows.
  await cluster.until('both are suspected', () => isSuspect(1, one) && isSuspect(2, two))
  await served(cluster)
  const legible = KEYS.filter((key) => key !== 'a5' && key !== 'a6')
  const { epoch } = cluster.decisions.get(P)!
  for (let minute = 0; minute < 60; minute += 1) {
    await cluster.step(120)
    await served(cluster)
    await readAll(t, cluster, legible)
    await cluster.wait(cluster.reignOf(P)!.log.append(put('c', `${minute}`)))
  }
  const changes = cluster.decisions.get(P)!.epoch - epoch
  t.ok(changes >= 2 && changes <= 12, `the lead changed ${changes} times in an hour`)
  await cluster.close()
})

t.test('while nobody else can lead a replica with a rotten row does', async (t) => {
  const { cluster, one, two } = await written()
  await rot(cluster, 1, 'a5')
  await t.rejects(cluster.wait(read(cluster.reignOf(P)!, 'a5')), /damaged/)
  cluster.decisions.isAway = true
  await served(cluster)
  await readAll(t, cluster, ['a4', 'a6'])
  await cluster.step(20)
  cluster.decisions.isAway = false
  await cluster.until('it is asked for again', () => cluster.decisions.get(P)!.primary === two)
  await served(cluster)
  await readAll(t, cluster)
  await cluster.step(40)
  cluster.crash(1, EVERYTHING)
  await cluster.start(1)
  await cluster.step(4)
  t.match(cluster.host(1).standing(one, P), { kind: 'lives' })
  await cluster.close()
})

t.test('who has a rotten row asks once in a reign that it is to end, and rests in between', (t) => {
  const [self, other] = ['1-a', '2-b'] as ReplicaId[]
  const suspects = new Suspects()
  const decision = { epoch: 1, primary: self!, replicas: [self!, other!], previous: undefined }
  const unwanted = new UnwantedReign(self!, suspects)
  const asked = (reign: number, minutes: number) =>
    unwanted.heirs({ decision, reign, nowMs: minutes * 60_000 }) !== undefined
  t.notOk(asked(1, 0), 'nobody suspects it')
  suspects.note(self!, 'rotten')
  t.same(
    [1, 2, 3, 4, 5].map(() => asked(1, 0)),
    [true, false, false, false, true],
  )
  t.notOk(asked(2, 0.9))
  t.ok(asked(2, 1))
  t.notOk(asked(3, 2.9), 'twice as long')
  t.ok(asked(3, 3))
  suspects.clear(self!)
  t.notOk(asked(4, 100))
  suspects.note(self!, 'rotten')
  t.ok(asked(4, 100), 'another row')
  suspects.note(self!, 'differs')
  t.ok(asked(5, 100), 'what it would serve is wrong: it always asks')
  t.ok(asked(6, 100))
  t.end()
})
