// Replicas of a partition are compared as of one position, while it is written; those that lost rows get them anew.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { parseReplicaId } from '../../../../src/metadata/replication/replica-id.ts'
import {
  type Compared,
  type CompareParts,
  compareReplicas,
} from '../../../../src/storage-node/replicated/compare-replicas.ts'
import { PeerTransport } from '../../../../src/storage-node/replicated/peer-transport.ts'
import { ReplicaService } from '../../../../src/storage-node/replicated/replica-service.ts'
import { MessageType } from '../../../../src/storage-node/rpc/messages.ts'
import type { RequestContext } from '../../../../src/storage-node/rpc/node-service.ts'
import { EVERYTHING, NOTHING } from '../../../crash/forgetful-machine.ts'
import { Seeded } from '../../../support/seeded.ts'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

const P = 2
const ROWS = '/drive/meta.db'

/** Compares what a node leads, over the bytes of the node protocol. */
function comparer(cluster: ReplicaCluster): () => Promise<Compared | undefined> {
  const world = { clock: cluster.clock, random: new Seeded(9) }
  const services = new Map<number, { host: unknown; service: ReplicaService }>()
  const serviceOf = (id: number): ReplicaService => {
    const host = cluster.host(id)
    const known = services.get(id)
    if (known?.host === host) return known.service
    const service = new ReplicaService({ host, world, transport: { takeFor: () => [] } })
    services.set(id, { host, service })
    return service
  }
  const send = async (to: string, bytes: Uint8Array): Promise<Uint8Array> => {
    if (cluster.cut.has(Number(to))) throw new Error('the network is cut')
    const answer = serviceOf(Number(to)).messages.get(MessageType.Metadata)!
    return (await answer(bytes, { from: 'n' } as RequestContext)) as Uint8Array
  }
  const transport = new PeerTransport({
    ...{ world, log: silentLog, peers: { send } },
    nodeOf: String,
  })
  return async () => {
    const primary = cluster.decisions.get(P)!.primary
    const host = cluster.host(parseReplicaId(primary)!.driveId)
    const parts: CompareParts = {
      ...{ world, log: silentLog, decisions: cluster.decisions, host, transport },
    }
    return await cluster.wait(compareReplicas(P, new AbortController().signal, parts), 400)
  }
}

async function write(cluster: ReplicaCluster, name: string, count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const appended = cluster.reignOf(P)!.log.append(put(`${name}${number}`, `${name} ${number}`))
    await cluster.wait(appended)
  }
}

async function written(seed = 1): Promise<ReplicaCluster> {
  const cluster = await ReplicaCluster.make(3, seed)
  await cluster.found(P, [1, 2, 3])
  await cluster.until('a partition is served', () => cluster.reignOf(P) !== undefined)
  await write(cluster, 'a', 20)
  return cluster
}

t.test('replicas that are the same are found to be, also while they are written', async (t) => {
  const cluster = await written()
  const compare = comparer(cluster)
  t.same(await compare(), { replicas: 3, damaged: 0 })
  let isOver = false
  const writing = (async () => {
    for (let number = 0; !isOver; number += 1)
      await cluster.reignOf(P)!.log.append(put(`b${number}`, 'b'))
  })()
  t.same(await compare(), { replicas: 3, damaged: 0 })
  isOver = true
  await cluster.wait(writing)
  cluster.cut.add(3)
  await t.rejects(compare(), 'who does not answer is not known to be the same')
  cluster.cut.clear()
  await cluster.close()
})

t.test('a replica that lost rows without a word gets them anew', async (t) => {
  const cluster = await written()
  const compare = comparer(cluster)
  await cluster.node(2).machine.levels.loseRows(ROWS, 3)
  t.same(await compare(), { replicas: 3, damaged: 1 })
  t.same(await compare(), { replicas: 3, damaged: 0 })
  await write(cluster, 'c', 10)
  t.same(await compare(), { replicas: 3, damaged: 0 }, 'it goes on with them')
  cluster.crash(2, NOTHING)
  await cluster.start(2)
  await cluster.step(10)
  t.equal(cluster.host(2).replicas().length, 1, 'it is the same replica after a crash')
  t.same(await compare(), { replicas: 3, damaged: 0 })
  cluster.crash(1, EVERYTHING)
  await cluster.until('another one leads', () => cluster.reignOf(P) !== undefined)
  for (const key of ['a0', 'a1', 'a2', 'c9'])
    t.ok(await cluster.wait(read(cluster.reignOf(P)!, key)), key)
  await cluster.close()
})

t.test('a rotten row is no row', async (t) => {
  const cluster = await written()
  const compare = comparer(cluster)
  const flip = (value: Uint8Array): void => {
    value[value.length - 1]! ^= 1
  }
  const isRow = (key: Uint8Array): boolean => Buffer.from(key).includes('a7')
  t.ok(await cluster.node(3).machine.levels.rot(ROWS, isRow, flip))
  t.same(await compare(), { replicas: 3, damaged: 1 })
  t.same(await compare(), { replicas: 3, damaged: 0 })
  await cluster.close()
})

t.test('nobody knows of a replica that ended before its drive is opened anew', async (t) => {
  const cluster = await written()
  const { primary } = cluster.decisions.get(P)!
  const id = Number(primary.split('-')[0])
  const flip = (value: Uint8Array): void => {
    value[value.length - 1]! ^= 1
  }
  const isRow = (key: Uint8Array): boolean => Buffer.from(key).includes('a7')
  t.ok(await cluster.node(id).machine.levels.rot(ROWS, isRow, flip))
  await t.rejects(cluster.wait(read(cluster.reignOf(P)!, 'a7')))
  t.notOk(cluster.host(id).lives(primary, P))
  t.same(cluster.host(id).standing(primary, P), { kind: 'closed' }, 'it is not gone')
  await cluster.until('it is back', () => cluster.host(id).lives(primary, P))
  t.not(cluster.host(id).standing(primary, P).kind, 'closed')
  await cluster.close()
})

t.test('a primary that lost rows leads no more until it has them again', async (t) => {
  const cluster = await written()
  const compare = comparer(cluster)
  const first = cluster.decisions.get(P)!.primary
  const id = parseReplicaId(first)!.driveId
  await cluster.node(id).machine.levels.loseRows(ROWS, 2)
  t.same(await compare(), { replicas: 3, damaged: 1 })
  t.ok(cluster.host(id).lives(first, P), 'its log counts')
  t.notOk(cluster.host(id).replicas()[0]!.isServing, 'it serves nothing')
  t.throws(() => cluster.host(id).serveRows(first, P, new AbortController().signal), /not those/)
  await cluster.until('another one leads', () => {
    const { primary } = cluster.decisions.get(P)!
    return primary !== first && cluster.reignOf(P) !== undefined
  })
  t.equal(await cluster.wait(read(cluster.reignOf(P)!, 'a0')), 'a 0')
  await cluster.step(40)
  t.ok(cluster.host(id).lives(first, P), 'it never ended')
  t.same(await compare(), { replicas: 3, damaged: 0 }, 'it got its rows anew by itself')
  await cluster.close()
})

t.test('who lost rows does not serve, whatever happens before they are there again', async (t) => {
  const cluster = await written()
  const [first, second, third] = cluster.decisions.get(P)!.replicas
  await cluster.node(2).machine.levels.loseRows(ROWS, 3)
  cluster.cut.add(3)
  await t.rejects(cluster.host(2).renewRows(second!, P, third!), /cut/)
  cluster.cut.clear()
  await cluster.settle()
  cluster.crash(2, EVERYTHING)
  await cluster.start(2)
  t.same(cluster.host(2).standing(second!, P), { kind: 'suspect' }, 'it lives, and lacks rows')
  // No time passes, in which it would renew its rows: it hears of its lead first.
  t.ok(cluster.reignOf(P)!.handOver([second!]))
  await cluster.settle()
  t.equal(cluster.decisions.get(P)!.primary, second)
  t.notOk(cluster.node(2).life!.reigns.has(P), 'nobody hears of its reign')
  await cluster.until('another one leads', () => cluster.reignOf(P) !== undefined)
  t.not(cluster.decisions.get(P)!.primary, second)
  t.equal(await cluster.wait(read(cluster.reignOf(P)!, 'a0')), 'a 0')
  await cluster.step(40)
  const heir = cluster.decisions.get(P)!.primary
  t.ok([first, third].includes(heir))
  t.same(await comparer(cluster)(), { replicas: 3, damaged: 0 }, 'it got its rows anew by itself')
  t.ok(cluster.reignOf(P)!.handOver([second!]))
  await cluster.until('it leads', () => cluster.node(2).life!.reigns.has(P))
  t.equal(await cluster.wait(read(cluster.reignOf(P)!, 'a0')), 'a 0')
  cluster.crash(2, EVERYTHING)
  await cluster.start(2)
  await cluster.step(2)
  const signal = new AbortController().signal
  t.doesNotThrow(() => cluster.host(2).serveRows(second!, P, signal), 'nor does a start suspect it')
  await cluster.close()
})

t.test('where all differ nobody is judged', async (t) => {
  const cluster = await written()
  const compare = comparer(cluster)
  await cluster.node(1).machine.levels.loseRows(ROWS, 1)
  await cluster.node(2).machine.levels.loseRows(ROWS, 2)
  const before = cluster.host(3).replicas()[0]!.replica
  await t.rejects(compare(), { message: /nobody knows/ })
  t.equal(cluster.host(3).replicas()[0]!.replica, before)
  await cluster.close()
})

t.test('rows are made anew under writes and crashes, and nothing is lost', async (t) => {
  for (let seed = 1; seed <= 3; seed += 1) {
    const cluster = await written(seed)
    const seeded = new Seeded(seed)
    const compare = comparer(cluster)
    await cluster.node(2).machine.levels.loseRows(ROWS, 1 + seeded.below(5))
    const { replicas } = cluster.decisions.get(P)!
    const renewed = cluster.host(2).renewRows(replicas[1]!, P, replicas[0]!)
    renewed.catch(() => undefined)
    const acknowledged: string[] = []
    const steps = seeded.below(12)
    for (let step = 0; step < steps; step += 1) {
      const key = `d${step}`
      const appended = cluster.reignOf(P)!.log.append(put(key, key))
      void appended.then(
        () => acknowledged.push(key),
        () => {},
      )
      if (seeded.below(3) > 0) await cluster.settle()
      if (seeded.below(4) === 0) await cluster.step()
    }
    if (seeded.below(2) === 0) {
      cluster.crash(2, seeded.below(2) === 0 ? NOTHING : EVERYTHING)
      await cluster.start(2)
    } else await cluster.wait(renewed.catch(() => undefined))
    await cluster.step(20)
    t.equal(cluster.host(2).replicas().length, 1, `seed ${seed}: it is there`)
    await compare()
    t.same(await compare(), { replicas: 3, damaged: 0 }, `seed ${seed}`)
    cluster.crash(1, EVERYTHING)
    cluster.crash(3, NOTHING)
    await cluster.start(3)
    await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
    for (const key of [...acknowledged, 'a0', 'a1', 'a19'])
      t.ok(await cluster.wait(read(cluster.reignOf(P)!, key)), `seed ${seed}: ${key}`)
    await cluster.close()
  }
})

t.test('what rots in a log is replaced while it is in use', async (t) => {
  const cluster = await written()
  const { disk } = cluster.node(2).machine
  const scrub = () => cluster.wait(cluster.host(2).scrubLogs(async () => {}))
  t.match(await scrub(), { damaged: 0 })
  const [path] = disk.files('/drive/metalog')
  disk.flip(path!, 70)
  t.match(await scrub(), { damaged: 1 })
  t.match(await scrub(), { damaged: 0 })
  await write(cluster, 'e', 5)
  cluster.crash(2, NOTHING)
  await cluster.start(2)
  await cluster.step(10)
  t.equal(cluster.host(2).replicas().length, 1, 'it begins again')
  t.same(await comparer(cluster)(), { replicas: 3, damaged: 0 })
  await cluster.close()
})
