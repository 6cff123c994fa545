// Replicas of a partition that was recovered: rows that were made anew are led like any others, and lost replicas that come back
// with more than those that were led on do not bring it in again.
import t, { type Test } from 'tap'
import { positionAfter } from '../../../../src/cluster/put-in-place.ts'
import { decodeBatch } from '../../../../src/metadata/log/entry.ts'
import { RowTable } from '../../../../src/metadata/rebuild/row-table.ts'
import type { ReplicaId } from '../../../../src/metadata/replication/decision.ts'
import { reignEpoch } from '../../../../src/metadata/replication/decision.ts'
import { parseReplicaId, replicaIdOf } from '../../../../src/metadata/replication/replica-id.ts'
import type { Reigning, RowsPage } from '../../../../src/storage-node/replicated/contract.ts'
import { NOTHING } from '../../../crash/forgetful-machine.ts'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

const P = 3
const key = (text: string): Uint8Array => Buffer.from(text)

async function serving(cluster: ReplicaCluster, above = 0): Promise<Reigning> {
  const isServed = (): boolean => (cluster.reignOf(P)?.epoch ?? 0) > above
  await cluster.until('a partition is served', isServed)
  return cluster.reignOf(P)!
}

/** As a recovery leaves it, once a node has taken the lead. */
function leadAlone(cluster: ReplicaCluster, replica: ReplicaId): void {
  const epoch = cluster.decisions.get(P)!.epoch + 2
  cluster.decisions.set(P, { epoch, primary: replica, replicas: [replica], previous: undefined })
}

/** Another replica on the same node, with all that one has, in a place of the log that the lost ones never reached. */
async function copyOf(t: Test, cluster: ReplicaCluster, replica: ReplicaId): Promise<ReplicaId> {
  const { driveId } = parseReplicaId(replica)!
  const host = cluster.host(driveId)
  const rows = new RowTable()
  let known = { epoch: 0, sequence: 0 }
  const read = async (): Promise<void> => {
    for await (const page of host.readReplica(replica, P, new AbortController().signal)) {
      known = page.position
      for (const { key, value } of page.rows) rows.put(key, value)
    }
    for await (const { entries } of host.readLog(replica, known.sequence)) {
      for (const { epoch, sequence, batch } of entries) {
        known = { epoch, sequence }
        for (const { key, value } of decodeBatch(batch))
          if (value === undefined) rows.delete(key)
          else rows.put(key, value)
      }
    }
  }
  await cluster.wait(read())
  t.match(host.standing(replica, P), { kind: 'lives', end: known })
  const fence = { epoch: cluster.decisions.get(P)!.epoch + 1 }
  const position = positionAfter(fence, known, cluster.clock.now())
  const pages = async function* (): AsyncGenerator<RowsPage> {
    yield { position, rows: [...rows] }
  }
  const copy = replicaIdOf({ driveId, incarnation: 'ffeeddccbbaa9988' })
  await cluster.wait(host.install(copy, P, pages()))
  return copy
}

/** Brings replicas back to these nodes, one after the other, as a node that leads does. */
async function bringBack(cluster: ReplicaCluster, ids: readonly number[]): Promise<void> {
  for (const id of ids) {
    const made = await cluster.wait(cluster.host(id).prepare(id, P))
    await cluster.until(
      `node ${id} has a replica that counts`,
      () => {
        const { replicas, previous } = cluster.decisions.get(P)!
        const others = replicas.filter((known) => parseReplicaId(known)!.driveId !== id)
        cluster.reignOf(P)?.want([...others, made])
        return previous === undefined && replicas.includes(made)
      },
      400,
    )
  }
}

t.test('lost replicas come back with entries that were given up', async (t) => {
  for (const lost of [1, 5, 40]) {
    const cluster = await ReplicaCluster.make(3)
    const [, , third] = await cluster.found(P, [1, 2, 3])
    const before = await serving(cluster)
    await cluster.wait(before.log.append(put('a', '0')))
    await cluster.wait(before.log.append([...put('a', '1'), { key: key('b'), value: undefined }]))
    await cluster.wait(before.log.append(put('tail', '1')))
    cluster.cut.add(3)
    for (let entry = 0; entry < lost; entry += 1)
      await cluster.wait(before.log.append(put(`lost-${entry}`, `${entry}`)))
    await cluster.step(3)
    for (const id of [1, 2]) await cluster.stop(id)
    cluster.cut.clear()
    leadAlone(cluster, await copyOf(t, cluster, third!))
    let reign = await serving(cluster, before.epoch)
    t.equal(await cluster.wait(read(reign, 'a')), '1')
    t.equal(await cluster.wait(read(reign, 'tail')), '1', 'what its log has and its rows have not')
    await cluster.wait(reign.log.append(put('b', '2')))
    for (const id of [1, 2]) await cluster.start(id)
    await cluster.step(5)
    await bringBack(cluster, [1, 2])
    reign = cluster.reignOf(P)!
    await cluster.wait(reign.log.append(put('c', '3')))
    await cluster.stop(3)
    reign = await serving(cluster, reign.epoch)
    for (const [name, value] of [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['lost-0', undefined],
    ] as const)
      t.equal(await cluster.wait(read(reign, name)), value, `${lost} lost: ${name}`)
    await cluster.close()
  }
})

t.test('rows that were made anew are there after a crash, and others follow them', async (t) => {
  const cluster = await ReplicaCluster.make(3)
  await cluster.found(P, [1, 2, 3])
  const before = await serving(cluster)
  await cluster.wait(before.log.append(put('old', '1')))
  for (const id of [1, 2, 3]) cluster.crash(id, NOTHING)
  await cluster.start(2)
  await cluster.start(3)
  const replica = replicaIdOf({ driveId: 2, incarnation: '00112233445566ff' })
  const { epoch } = cluster.decisions.get(P)!
  const position = { epoch: reignEpoch(epoch + 1, 0), sequence: 2 ** 40 }
  const pages = async function* (count: number, isBroken: boolean): AsyncGenerator<RowsPage> {
    for (let row = 0; row < count; row += 1) {
      yield { position, rows: [{ key: Buffer.from(`k${row}`), value: Buffer.from(`${row}`) }] }
    }
    if (isBroken) throw new Error('who brought them has gone')
  }
  const host = (): ReturnType<ReplicaCluster['host']> => cluster.host(2)
  t.same(host().standing(replica, P), { kind: 'gone' })
  await t.rejects(cluster.wait(host().install(replica, P, pages(3, true))), /has gone/)
  t.same(host().standing(replica, P), { kind: 'gone' }, 'all or nothing')
  await cluster.wait(host().install(replica, P, pages(5, false)))
  t.same(host().standing(replica, P), { kind: 'lives', end: position })
  t.same(host().standing(replicaIdOf({ driveId: 9, incarnation: '00112233445566ff' }), P), {
    kind: 'closed',
  })
  cluster.crash(2, NOTHING)
  await cluster.start(2)
  t.same(host().standing(replica, P), { kind: 'lives', end: position })
  leadAlone(cluster, replica)
  let reign = await serving(cluster, before.epoch)
  for (let row = 0; row < 5; row += 1) t.equal(await cluster.wait(read(reign, `k${row}`)), `${row}`)
  await t.rejects(cluster.wait(host().discard(replica)), /one that counts/)
  t.equal(await cluster.wait(read(reign, 'old')), undefined)
  await cluster.wait(reign.log.append(put('new', 'x')))
  await cluster.start(1)
  await bringBack(cluster, [1, 3])
  await cluster.stop(2)
  reign = await serving(cluster, reign.epoch)
  t.equal(await cluster.wait(read(reign, 'k4')), '4')
  t.equal(await cluster.wait(read(reign, 'new')), 'x')
  t.equal(await cluster.wait(read(reign, 'old')), undefined)
  await cluster.close()
})

t.test('a replica of a recovery that came to nothing is given to nobody', async (t) => {
  const cluster = await ReplicaCluster.make(4)
  const [first, second, third] = await cluster.found(P, [1, 2, 3])
  const before = await serving(cluster)
  await cluster.wait(before.log.append(put('a', '1')))
  const host = (): ReturnType<ReplicaCluster['host']> => cluster.host(4)
  const orphan = replicaIdOf({ driveId: 4, incarnation: '00112233445566ff' })
  const { epoch } = cluster.decisions.get(P)!
  const position = { epoch: reignEpoch(epoch + 1, 0), sequence: 2 ** 40 }
  const pages = async function* (): AsyncGenerator<RowsPage> {
    yield { position, rows: [{ key: Buffer.from('a'), value: Buffer.from('older') }] }
  }
  await cluster.wait(host().install(orphan, P, pages()))
  await cluster.step(3)
  await cluster.stop(4)
  await cluster.start(4)
  t.match(host().standing(orphan, P), { kind: 'lives' })
  const made = await cluster.wait(host().prepare(4, P))
  t.not(made, orphan, 'it is no member of the set, after a restart neither')
  before.want([first!, second!, made])
  await cluster.until('it takes the place of the third', () => {
    const { replicas, previous } = cluster.decisions.get(P)!
    return previous === undefined && replicas.includes(made) && !replicas.includes(third!)
  })
  await cluster.wait(cluster.reignOf(P)!.log.append(put('b', '2')))
  await t.rejects(cluster.wait(host().discard(made)), /one that counts/)
  await cluster.wait(host().discard(orphan))
  t.same(host().standing(orphan, P), { kind: 'gone' })
  cluster.crash(4, NOTHING)
  await cluster.start(4)
  t.same(host().standing(orphan, P), { kind: 'gone' }, 'for ever')
  await cluster.wait(host().discard(orphan))
  await cluster.stop(1)
  const heir = await serving(cluster, before.epoch)
  t.equal(await cluster.wait(read(heir, 'a')), '1')
  t.equal(await cluster.wait(read(heir, 'b')), '2')
  await cluster.close()
})
