// A drive for which too much waits already: that says nothing of its rows, and what has to be applied is applied later.
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { Overloaded } from '../../../../src/kit/semaphore.ts'
import { ReignRows } from '../../../../src/storage-node/replicated/reign-rows.ts'
import { ReplicaDrive } from '../../../../src/storage-node/replicated/replica-drive.ts'
import { DigestJob } from '../../../../src/storage-node/replicated/rows-digest.ts'
import { readRows } from '../../../../src/storage-node/replicated/serve-rows.ts'
import { whenRoom } from '../../../../src/storage-node/replicated/when-room.ts'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

await prepareDigests()

const P = 2
const FROM_THE_START = { from: new Uint8Array(), to: Buffer.from('z') }

/** A drive of which nothing can be read now. */
function busyDrive() {
  const refuse = async (): Promise<never> => {
    throw new Overloaded('too many wait already')
  }
  const cursor = { next: refuse, seek: () => {}, close: async () => {} }
  return { get: refuse, cursor: () => cursor, appliedIn: () => ({ epoch: 1, sequence: 3 }) }
}

/** Drives do not do this so many times, anywhere. Gives how many of those are left. */
function refuse(t: Test, what: 'get' | 'apply' | 'freeSlot', times: number): () => number {
  const real = ReplicaDrive.prototype[what] as (...of: unknown[]) => Promise<unknown>
  let left = times
  const replaced = function (this: ReplicaDrive, ...of: unknown[]): Promise<unknown> {
    if (left === 0) return real.apply(this, of)
    left -= 1
    return Promise.reject(new Overloaded('too many wait already'))
  }
  Object.assign(ReplicaDrive.prototype, { [what]: replaced })
  t.teardown(() => Object.assign(ReplicaDrive.prototype, { [what]: real }))
  return () => left
}

async function served(): Promise<ReplicaCluster> {
  const cluster = await ReplicaCluster.make(3)
  await cluster.found(P, [1, 2, 3])
  await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
  await cluster.wait(cluster.reignOf(P)!.log.append(put('a', '1')))
  return cluster
}

function livesWhole(t: Test, cluster: ReplicaCluster): void {
  t.same(cluster.complaints, [])
  t.same(
    [1, 2, 3].map((id) => cluster.host(id).damageCount),
    [0, 0, 0],
  )
  t.same(
    [1, 2, 3].map((id) => cluster.host(id).replicas().length),
    [1, 1, 1],
  )
}

t.test(
  'a read for which there is no room is refused, and the rows are not suspected',
  async (t) => {
    const cluster = await served()
    const reign = cluster.reignOf(P)!
    refuse(t, 'get', 1)
    await t.rejects(cluster.wait(read(reign, 'a')), {
      name: 'MetadataUnavailable',
      message: /too much/,
    })
    t.equal(await cluster.wait(read(reign, 'a')), '1')
    livesWhole(t, cluster)
    await cluster.close()
  },
)

t.test('what could not be applied for that is applied later, everywhere', async (t) => {
  const cluster = await served()
  const left = refuse(t, 'apply', 7)
  await cluster.wait(cluster.reignOf(P)!.log.append(put('a', '2')))
  await cluster.until('all were asked again', () => left() === 0)
  t.equal(await cluster.wait(read(cluster.reignOf(P)!, 'a')), '2')
  await cluster.step(4)
  livesWhole(t, cluster)
  const applied = [1, 2, 3].map((id) => cluster.host(id).replicas()[0]!.applied)
  t.equal(new Set(applied).size, 1, `${applied}`)
  await cluster.close()
})

t.test('rows that were replaced go later', async (t) => {
  const cluster = await served()
  cluster.cut.add(3)
  for (let more = 0; more < 40; more += 1)
    await cluster.wait(cluster.reignOf(P)!.log.append(put('b', `${more}`)))
  await cluster.step(20)
  const left = refuse(t, 'freeSlot', 3)
  cluster.cut.clear()
  await cluster.until('they were copied', () => cluster.copies > 0 && left() === 0)
  await cluster.step(4)
  livesWhole(t, cluster)
  await cluster.close()
})

t.test('rows that can not be read now are not rotten', async (t) => {
  const drive = busyDrive()
  const ended = new AbortController().signal
  const onBadRow = (): void => void t.fail('nothing is known of them')
  const slot = (): number => 1
  const rows = new ReignRows({ partition: P, drive, slot, ended, onBadRow })
  const cursor = rows.scan(FROM_THE_START)
  await t.rejects(cursor.next(1), { name: 'MetadataUnavailable' })
  await t.rejects(rows.get(Buffer.from('a')), { name: 'MetadataUnavailable' })
  const see = (look: () => void): void => look()
  const pages = readRows({ drive, slot, see, onBadRow }, ended)
  await t.rejects(pages.next(), { name: 'Overloaded' }, 'whoever copies them tries again')
  const source = { drive, slot, see, seeAt: () => {}, pace: async () => {}, ended }
  const job = new DigestJob(source, 3)
  await setImmediate()
  t.equal(job.state.kind, 'waiting')
})

t.test('work is tried again until nobody wants it', async (t) => {
  const ending = new AbortController()
  const pauses: number[] = []
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    pauses.push(ms)
    if (pauses.length === 3) ending.abort(new Error('the drive is closed'))
    signal?.throwIfAborted()
  }
  const { get } = busyDrive()
  await t.rejects(whenRoom(get, { clock: { sleep }, ended: ending.signal }), /is closed/)
  t.equal(pauses.length, 3)
  const broken = async (): Promise<void> => {
    throw new Error('it is broken')
  }
  await t.rejects(whenRoom(broken, { clock: { sleep }, ended: ending.signal }), /is broken/)
})
