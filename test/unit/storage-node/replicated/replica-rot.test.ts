// What rotted in the log of a drive: a replica that lost what it may have told others does not begin, and others make up for it.
import fc from 'fast-check'
import t from 'tap'
import type { LogEntry } from '../../../../src/metadata/log/entry.ts'
import {
  encodeRecord,
  type LogRecord,
  RecordKind,
} from '../../../../src/storage-node/metalog/record.ts'
import { readSealedFile } from '../../../../src/storage-node/metalog/scan-file.ts'
import { ReplicaHistory } from '../../../../src/storage-node/replicated/replica-history.ts'
import { newReplicaState } from '../../../../src/storage-node/replicated/replica-state.ts'
import { EVERYTHING } from '../../../crash/forgetful-machine.ts'
import { recordsOf, written } from './log-records.ts'
import { read } from './replica-cluster.ts'

const P = 2
const BEGINNING = { epoch: 0, sequence: 0 }

t.test('a replica whose log rotted does not begin, and another one takes its place', async (t) => {
  const cluster = await written(P, 12)
  cluster.crash(2, EVERYTHING)
  const entries = recordsOf(cluster, 2).filter(
    ({ record }) => record.kind === RecordKind.ReplicatedEntry,
  )
  const rotten = entries.at(-3)!
  cluster.node(2).machine.disk.flip(rotten.path, rotten.at + 70)
  await cluster.start(2)
  t.same(cluster.host(2).replicas(), [])
  t.match(cluster.complaints, [
    { sentence: 'a metadata log lost what was durable' },
    { sentence: 'a replica of metadata is damaged: it does not answer any more' },
  ])
  await cluster.stop(2)
  await cluster.start(2)
  t.same(cluster.host(2).replicas(), [], 'nor ever after')
  const decision = cluster.decisions.get(P)!
  const two = await cluster.wait(cluster.host(2).prepare(2, P))
  t.notOk(decision.replicas.includes(two), 'it has another name')
  const reign = cluster.reignOf(P)!
  reign.want([decision.replicas[0]!, decision.replicas[2]!, two])
  await cluster.until('the new one counts', () => {
    const now = cluster.decisions.get(P)!
    return now.previous === undefined && now.replicas.includes(two)
  })
  await cluster.step(30)
  cluster.crash(3, EVERYTHING)
  await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
  t.equal(await cluster.wait(read(cluster.reignOf(P)!, 'k11')), '11')
  await cluster.close()
})

t.test('what a later state makes up for is no loss', async (t) => {
  const cluster = await written(P, 12)
  // Markers, and with them states.
  await cluster.step(20)
  cluster.crash(2, EVERYTHING)
  const [first] = recordsOf(cluster, 2)
  cluster.node(2).machine.disk.flip(first!.path, first!.at + 70)
  await cluster.start(2)
  t.equal(cluster.host(2).replicas().length, 1)
  await cluster.close()
})

t.test('what was torn in the last group is none', async (t) => {
  const cluster = await written(P, 12)
  cluster.crash(2, EVERYTHING)
  const last = recordsOf(cluster, 2).at(-1)!
  cluster.node(2).machine.disk.flip(last.path, last.at + 70)
  await cluster.start(2)
  t.equal(cluster.host(2).replicas().length, 1)
  await cluster.close()
})

t.test('a clean stop says of everything that it was durable', async (t) => {
  const cluster = await written(P, 3)
  await cluster.stop(2)
  const last = recordsOf(cluster, 2).at(-1)!
  t.equal(last.record.kind, RecordKind.Seal)
  await cluster.start(2)
  t.equal(cluster.host(2).replicas().length, 1)
  await cluster.close()
})

const head: LogRecord = {
  ...{ partition: 1, incarnation: '00000000000000aa', kind: RecordKind.ReplicatedEntry },
  ...{ epoch: 1, sequence: 1, prevEpoch: 1, committed: 0 },
}

t.test('a file tells what it lost from what a crash tore', async (t) => {
  const groups = [2, 1, 3, 2]
  const records: Buffer[] = []
  let at = 0
  for (const [group, count] of groups.entries()) {
    const groupAt = at
    for (let index = 0; index < count; index += 1) {
      const record = encodeRecord(
        { ...head, sequence: records.length + 1 },
        Buffer.alloc(100, group),
        7n,
        groupAt,
      )
      records.push(record)
      at += record.length
    }
  }
  const file = Buffer.concat([...records, Buffer.alloc(640)])
  const size = records[0]!.length
  const reading = (bytes: Buffer) =>
    readSealedFile(bytes, 7n).map(
      ({ record, isBehindLoss }) => `${record.sequence}${isBehindLoss ? '!' : ''}`,
    )
  t.same(reading(file), ['1', '2', '3', '4', '5', '6', '7', '8'])
  const flipped = (index: number): Buffer => {
    const bytes = Buffer.from(file)
    bytes[index * size + 70]! ^= 1
    return bytes
  }
  t.same(reading(flipped(0)), ['2!', '3', '4', '5', '6', '7', '8'])
  t.same(reading(flipped(4)), ['1', '2', '3', '4', '6!', '7', '8'])
  t.same(reading(flipped(6)), ['1', '2', '3', '4', '5', '6'], 'the last group was torn')
  t.same(reading(flipped(7)), ['1', '2', '3', '4', '5', '6', '7'])
  const zeros = Buffer.from(file)
  zeros.fill(0, size, 3 * size)
  t.same(reading(zeros), ['1', '4!', '5', '6', '7', '8'], 'what was never written looks the same')
})

/** What is written: an entry of an epoch behind a sequence, or the state. */
const writing = fc.oneof(
  { weight: 6, arbitrary: fc.record({ back: fc.nat(3), epochs: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.constant('state' as const) },
)

t.test('the entries written last hold, whatever the rows have', async (t) => {
  fc.assert(
    fc.property(fc.array(writing, { maxLength: 40 }), fc.nat(40), (writings, rows) => {
      const history = new ReplicaHistory(0)
      const log: LogEntry[] = []
      let epoch = 1
      history.setState(newReplicaState(0))
      for (const one of writings) {
        const last = log.at(-1) ?? { ...BEGINNING }
        if (one === 'state') {
          history.setState({
            ...newReplicaState(0),
            last: { epoch: last.epoch, sequence: last.sequence },
          })
          continue
        }
        epoch += one.epochs
        // A new epoch may cut off what is there; the same one goes on.
        if (one.epochs > 0) log.length = Math.max(0, log.length - one.back)
        const before = log.at(-1) ?? { ...BEGINNING }
        const entry = {
          ...{ epoch, sequence: before.sequence + 1, prevEpoch: before.epoch, committed: 0 },
          batch: Buffer.from(`${epoch} ${before.sequence + 1}`),
        }
        log.push(entry)
        history.entry(entry)
      }
      const at = Math.min(rows, log.length)
      const base = at === 0 ? BEGINNING : { epoch: log[at - 1]!.epoch, sequence: at }
      const remains = history.conclude(base, 0)
      if (remains.kind !== 'whole') return false
      const found = remains.durable.entries.map(({ batch }) => Buffer.from(batch).toString())
      return (
        found.join() ===
        log
          .slice(at)
          .map(({ batch }) => Buffer.from(batch).toString())
          .join()
      )
    }),
  )
  const history = new ReplicaHistory(0)
  history.setState(newReplicaState(0))
  for (const sequence of [1, 2, 4]) {
    history.entry({
      epoch: 1,
      sequence,
      prevEpoch: sequence === 1 ? 0 : 1,
      committed: 0,
      batch: Buffer.alloc(4),
    })
  }
  t.match(history.conclude(BEGINNING, 0), { kind: 'rotten' }, 'a gap')
  t.match(
    history.conclude({ epoch: 1, sequence: 3 }, 0),
    { kind: 'whole' },
    'that rows make up for',
  )
  t.match(history.conclude({ epoch: 1, sequence: 3 }, 5), { kind: 'rotten' }, 'more was there')
  history.doubt()
  t.match(history.conclude({ epoch: 1, sequence: 3 }, 0), { kind: 'rotten' }, 'a record was lost')
})
