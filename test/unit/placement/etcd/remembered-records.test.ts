// Records as several remember them: a backup and who knows more are of one history; what was changed on both sides, or went two ways, is of two.
import t from 'tap'
import type { KeyImage } from '../../../../src/placement/etcd/key-image.ts'
import {
  firstRecord,
  type NextRecord,
  type PartitionRecord,
  takeLead,
} from '../../../../src/placement/etcd/leadership.ts'
import {
  contradict,
  newestRecords,
  recordsIn,
  type Witness,
} from '../../../../src/placement/etcd/remembered-records.ts'
import { HEAD_KEY, type Head, toJson } from '../../../../src/placement/etcd/state-keys.ts'

const REPLICAS = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `i${driveId}` }))
const HEAD: Head = { generation: 1, epoch: 2 ** 32, id: 'head', ancestors: [] }

type Told = [record: PartitionRecord, modRevision: number]

/** Who knows everything up to `revision`, and these records of partitions 0, 1, … */
function witness(revision: number, records: readonly Told[], head: Head = HEAD): Witness {
  const keys = new Map([[HEAD_KEY, { value: toJson(head), modRevision: head === HEAD ? 1 : 50 }]])
  for (const [partition, [record, modRevision]] of records.entries())
    keys.set(`partition/${partition}`, { value: toJson(record), modRevision })
  const image: KeyImage = { clusterId: 'etcd', revision, keys }
  return { image, head, records: recordsIn(image) }
}

function named(record: NextRecord | undefined, id: string): PartitionRecord {
  return { ...record!, id }
}

const FIRST = named(firstRecord(REPLICAS, 1), 'first')
const LED = named(takeLead(FIRST, REPLICAS[0]!), 'led')
const LED_BY_OTHER = named(takeLead(FIRST, REPLICAS[1]!), 'led by another')
const LED_LATER = named(takeLead(LED_BY_OTHER, REPLICAS[2]!), 'led later')

function areApart(one: Witness, other: Witness): boolean {
  t.equal(contradict(one, other), contradict(other, one), 'whoever is asked first')
  return contradict(one, other)
}

t.test('a backup is of the history of who knows more, whatever else etcd did since', async (t) => {
  const old = witness(100, [[FIRST, 5]])
  const all: Told[] = [[LED, 12]]
  t.notOk(areApart(witness(20, all), old))
  t.notOk(areApart(witness(20, all), witness(10, [[FIRST, 5]])))
  t.notOk(areApart(witness(20, all), witness(20, all)))
})

t.test('what each has and the other lacks is of two', async (t) => {
  const one = witness(20, [
    [LED, 12],
    [FIRST, 5],
  ])
  const other = witness(20, [
    [FIRST, 5],
    [LED_BY_OTHER, 13],
  ])
  t.ok(areApart(one, other))
  const decided = { ...HEAD, epoch: HEAD.epoch + 1, id: 'next' }
  t.ok(areApart(witness(60, [[FIRST, 5]], decided), witness(60, [[LED, 12]])))
  t.notOk(areApart(witness(60, [[LED, 12]], decided), witness(60, [[LED, 12]])))
})

t.test('a record that went two ways is of two', async (t) => {
  t.ok(areApart(witness(20, [[LED, 12]]), witness(20, [[LED_BY_OTHER, 12]])))
  t.ok(areApart(witness(20, [[LED, 12]]), witness(20, [[LED_BY_OTHER, 11]])))
  t.ok(areApart(witness(20, [[LED, 15]]), witness(20, [[LED_LATER, 13]])), 'higher, and earlier')
})

t.test('a set that is activated keeps its epoch, and is of one', async (t) => {
  const wider = [...REPLICAS, { driveId: 4, incarnation: 'i4' }]
  const active: PartitionRecord = { ...LED, epoch: LED.epoch + 1, replicas: wider, id: 'active' }
  const open: PartitionRecord = { ...active, previous: REPLICAS, id: 'open' }
  t.notOk(areApart(witness(20, [[open, 12]]), witness(20, [[active, 13]])))
  t.ok(areApart(witness(20, [[open, 12]]), witness(20, [[active, 11]])))
  t.match(newestRecords([recordsOf(active), recordsOf(open)]).get(0), { previous: REPLICAS })

  function recordsOf(record: PartitionRecord) {
    return witness(20, [[record, 12]]).records
  }
})

t.test('who knows his own change before those of others is of one history with them', async (t) => {
  const other = witness(12, [
    [FIRST, 5],
    [LED, 12],
  ])
  const early: Told = [FIRST, 5]
  t.notOk(areApart(witness(10, [[LED, 14], early]), other))
  t.ok(areApart(witness(20, [[LED, 14], early]), other), 'he would have seen them')
  t.ok(areApart(witness(13, [[LED, 14], early]), other), 'one of them at least')
})

t.test('an earlier generation was judged when it ended', async (t) => {
  const restored = { ...HEAD, generation: 2, epoch: 2 ** 33 }
  t.notOk(areApart(witness(60, [[LED, 15]], restored), witness(60, [[LED_LATER, 13]])))
})
