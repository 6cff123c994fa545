// Replicas that lost something: how long they are kept, and who gets the slots of their rows.
import { MemoryLevel } from 'memory-level'
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import type { BytesLevel } from '../../../../src/storage-node/drive-lock.ts'
import { MetaRows } from '../../../../src/storage-node/meta-rows/meta-rows.ts'
import { DriveLog } from '../../../../src/storage-node/metalog/drive-log.ts'
import type { MetaDrive } from '../../../../src/storage-node/metalog/meta-drive.ts'
import { type LogRecord, RecordKind } from '../../../../src/storage-node/metalog/record.ts'
import { ReplicaDrive } from '../../../../src/storage-node/replicated/replica-drive.ts'
import {
  encodeReplicaState,
  newReplicaState,
} from '../../../../src/storage-node/replicated/replica-state.ts'
import { EVERYTHING } from '../../../crash/forgetful-machine.ts'
import { recordsOf, written } from './log-records.ts'
import { DecisionsInMemory, put, ReplicaCluster } from './replica-cluster.ts'

await prepareDigests()

const P = 2
const OLD = 'aaaaaaaaaaaaaaaa'
const NEW = 'bbbbbbbbbbbbbbbb'
const BEGINNING = { epoch: 0, sequence: 0 }
const AT_ONE = { epoch: 0x1_0000, sequence: 1 }

/** Rows in memory, which are cleared as late as a test wants. */
async function slowRows() {
  const level = new MemoryLevel<Uint8Array, Uint8Array>({
    ...{ keyEncoding: 'view', valueEncoding: 'view' },
  })
  await level.open()
  const drive = {
    ...{ id: 1, path: '/drive', failure: undefined, gather: async () => {} },
    run: <T>(operation: () => Promise<T>): Promise<T> => operation(),
  } as unknown as MetaDrive
  const rows = new MetaRows(level as unknown as BytesLevel, drive)
  const clear = rows.clear.bind(rows)
  const late = { gate: Promise.resolve() }
  rows.clear = async (slot) => {
    const { gate } = late
    late.gate = Promise.resolve()
    await clear(slot)
    await gate
  }
  return { drive, rows, late }
}

t.test('a slot is given to nobody before the rows in it are gone', async (t) => {
  const { drive, rows, late } = await slowRows()
  const log = {} as DriveLog
  const heldBack = new Map([[OLD, 0]])
  const host = new ReplicaDrive({ drive, log, rows, marker: undefined, heldBack })
  let isCleared = (): void => {}
  late.gate = new Promise((resolve) => {
    isCleared = resolve
  })
  const releasing = host.release(OLD)
  const slot = await host.takeSlot(NEW, BEGINNING)
  host.attach(NEW, slot, BEGINNING)
  const change = [{ key: Buffer.from('a'), value: Buffer.from('1') }]
  await host.apply(slot, { applied: AT_ONE, batches: [change], bytes: 1 })
  isCleared()
  await releasing
  t.not(slot, 0)
  t.same(host.appliedIn(slot), AT_ONE)
  t.match(await host.get(slot, Buffer.from('a')), { kind: 'found' })
  const other = await host.takeSlot(OLD, BEGINNING)
  t.not(other, slot, 'the next one gets another slot')
  t.equal(other, 0, 'that which is free now')
})

t.test(
  'a replica that a start found beside the owner of its slot takes no rows away',
  async (t) => {
    const { drive, rows } = await slowRows()
    const log = {} as DriveLog
    const heldBack = new Map([[OLD, 0]])
    const host = new ReplicaDrive({ drive, log, rows, marker: undefined, heldBack })
    host.attach(NEW, 0, BEGINNING)
    const change = [{ key: Buffer.from('a'), value: Buffer.from('1') }]
    await host.apply(0, { applied: AT_ONE, batches: [change], bytes: 1 })
    await host.release(OLD)
    t.match(await host.get(0, Buffer.from('a')), { kind: 'found' })
    t.equal(await host.takeSlot(OLD, BEGINNING), 1)
  },
)

/** Another replica in the log of a node that is down, with its rows in this slot. */
async function addState(cluster: ReplicaCluster, node: number, slot: number): Promise<void> {
  const { machine } = cluster.node(node)
  const drive = {
    ...{ id: node, path: '/drive', failure: undefined, gather: async () => {} },
    run: <T>(operation: () => Promise<T>): Promise<T> => operation(),
    syncFile: (file: { sync(): Promise<void> }) => file.sync(),
    syncDirectory: (path: string) => machine.disk.syncDirectory(path),
  } as unknown as MetaDrive
  const options = { fileBytes: 64 * 1024, retainBytes: 0, isSealed: true }
  const { log } = await DriveLog.open({ world: machine.world, drive }, options, () => false)
  const record: LogRecord = {
    ...{ partition: P + 1, incarnation: NEW, kind: RecordKind.ReplicaState },
    ...{ epoch: 0, sequence: 0, prevEpoch: 0, committed: 0 },
  }
  await log.append(record, encodeReplicaState(newReplicaState(slot)))
  await log.close()
}

t.test(
  'two replicas that were given one slot are held back, and their drive is open',
  async (t) => {
    const cluster = await written(P, 3)
    await cluster.step(12)
    await cluster.stop(2)
    await addState(cluster, 2, 0)
    await cluster.start(2)
    t.ok(cluster.host(2).hasDrive(2))
    t.same(cluster.host(2).replicas(), [])
    t.match(
      cluster.complaints.map(({ data }) => data),
      [{ why: /mixed/ }, { why: /mixed/ }],
    )
    const id = cluster.decisions.get(P)!.replicas[1]!
    t.same(cluster.host(2).standing(id, P), { kind: 'damaged' })
    await cluster.close()
  },
)

/** The second of three replicas lost something of its log. */
async function damaged() {
  const cluster = await written(P, 12)
  const id = cluster.decisions.get(P)!.replicas[1]!
  cluster.crash(2, EVERYTHING)
  const entries = recordsOf(cluster, 2).filter(
    ({ record }) => record.kind === RecordKind.ReplicatedEntry,
  )
  const rotten = entries.at(-3)!
  cluster.node(2).machine.disk.flip(rotten.path, rotten.at + 70)
  return { cluster, id }
}

t.test('a damaged replica that nobody counts on any more is gone for ever', async (t) => {
  const { cluster, id } = await damaged()
  await cluster.start(2)
  t.same(cluster.host(2).standing(id, P), { kind: 'damaged' })
  const decision = cluster.decisions.get(P)!
  const two = await cluster.wait(cluster.host(2).prepare(2, P))
  cluster.reignOf(P)!.want([decision.replicas[0]!, decision.replicas[2]!, two])
  await cluster.until('the new one counts', () => {
    const now = cluster.decisions.get(P)!
    return now.previous === undefined && now.replicas.includes(two)
  })
  await cluster.step(4)
  t.same(cluster.host(2).standing(id, P), { kind: 'gone' })
  cluster.crash(2, () => false)
  cluster.complaints.length = 0
  await cluster.start(2)
  t.same(cluster.host(2).standing(id, P), { kind: 'gone' })
  t.notMatch(cluster.complaints, [{ sentence: /is damaged/ }], 'its log says so')
  t.equal(cluster.host(2).replicas().length, 1)
  await cluster.close()
})

t.test('a damaged replica is kept while only an older decision is known', async (t) => {
  const cluster = await ReplicaCluster.make(3, 7)
  await cluster.found(P, [1, 2])
  await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
  const old = cluster.decisions.get(P)!
  const third = await cluster.wait(cluster.host(3).prepare(3, P))
  cluster.reignOf(P)!.want([...old.replicas, third])
  await cluster.until('the third counts', () => {
    const { replicas, previous } = cluster.decisions.get(P)!
    return replicas.includes(third) && previous === undefined && cluster.reignOf(P) !== undefined
  })
  for (let write = 0; write < 5; write += 1) {
    await cluster.wait(cluster.reignOf(P)!.log.append(put(`k${write}`, `${write}`)))
  }
  await cluster.stop(3)
  const { disk } = cluster.node(3).machine
  const rotten = recordsOf(cluster, 3)
    .filter(({ record }) => record.kind === RecordKind.ReplicatedEntry)
    .at(-1)!
  disk.flip(rotten.path, rotten.at + 70)
  const now = cluster.decisions.get(P)!
  const known = new DecisionsInMemory()
  known.set(P, old)
  // What the node heard last: the coordinator does not answer.
  Object.assign(cluster, { decisions: known })
  await cluster.start(3)
  await cluster.step(4)
  t.same(cluster.host(3).standing(third, P), { kind: 'damaged' })
  known.set(P, now)
  await cluster.step(4)
  t.same(cluster.host(3).standing(third, P), { kind: 'damaged' })
  known.set(P, { ...old, epoch: now.epoch + 1 })
  await cluster.step(4)
  t.same(cluster.host(3).standing(third, P), { kind: 'gone' })
  await cluster.close()
})
