// What a recovery reads of the logs of replicas: also of those that must not begin, and never what was replaced.
import t, { type Test } from 'tap'
import { decodeBatch, type LogEntry } from '../../../../src/metadata/log/entry.ts'
import { parseReplicaId } from '../../../../src/metadata/replication/replica-id.ts'
import { RecordKind } from '../../../../src/storage-node/metalog/record.ts'
import type { WholeRecord } from '../../../../src/storage-node/metalog/scan-file.ts'
import type { LeftLogPage } from '../../../../src/storage-node/replicated/contract.ts'
import { LeftEntries } from '../../../../src/storage-node/replicated/left-entries.ts'
import { EVERYTHING } from '../../../crash/forgetful-machine.ts'
import { LOG, recordsOf, written } from './log-records.ts'
import { put, type ReplicaCluster } from './replica-cluster.ts'

const P = 2

function entry(epoch: number, sequence: number, prevEpoch = epoch, committed = 0): LogEntry {
  return { epoch, sequence, prevEpoch, committed, batch: Buffer.from([0, 0, 0, 0]) }
}

function leftOf(write: (left: LeftEntries) => void, after = 0): string {
  const left = new LeftEntries(after)
  write(left)
  const names = left.entries.map(({ epoch, sequence }) => `${epoch}/${sequence}`)
  return [...names, left.isWhole(0) ? 'whole' : 'torn'].join(' ')
}

const end = (epoch: number, sequence: number, isGone = false) => ({
  last: { epoch, sequence },
  isGone,
})

t.test('what was written last holds', async (t) => {
  const replaced = (left: LeftEntries): void => {
    for (const sequence of [1, 2, 3, 4]) left.entry(entry(5, sequence))
    left.entry(entry(4, 3, 5))
    left.entry(entry(6, 4, 4))
  }
  t.equal(leftOf(replaced), '5/1 5/2 4/3 6/4 whole')
  t.equal(leftOf(replaced, 2), '4/3 6/4 whole')
  t.equal(leftOf(replaced, 9), 'whole')
  const cut = (left: LeftEntries): void => {
    replaced(left)
    left.setState(end(5, 2))
  }
  t.equal(leftOf(cut), '5/1 5/2 whole', 'what lies behind the end in a state is void')
  const gone = (left: LeftEntries): void => {
    replaced(left)
    left.setState(end(6, 4, true))
  }
  t.equal(leftOf(gone), 'whole', 'others had all of one that was deleted')
})

t.test(
  'a log that lost something says so, unless what follows shows that it is none of it',
  async (t) => {
    const lose = (then: (left: LeftEntries) => void) => (left: LeftEntries) => {
      for (const sequence of [1, 2, 3]) left.entry(entry(1, sequence))
      left.doubt()
      then(left)
    }
    t.equal(leftOf(lose(() => undefined)), '1/1 1/2 1/3 torn')
    t.equal(leftOf(lose((left) => left.entry(entry(1, 4)))), '1/1 1/2 1/3 1/4 whole')
    t.equal(leftOf(lose((left) => left.setState(end(1, 3)))), '1/1 1/2 1/3 whole')
    t.equal(leftOf(lose((left) => left.entry(entry(1, 5)))), '1/1 1/2 1/3 1/5 torn')
    t.equal(leftOf(lose((left) => left.entry(entry(2, 4)))), '1/1 1/2 2/4 torn', '3 was another')
    t.equal(leftOf(lose((left) => left.setState(end(2, 9)))), '1/1 1/2 1/3 torn')
    t.equal(leftOf(lose((left) => left.setState(end(2, 3)))), '1/1 1/2 torn')
    t.equal(
      leftOf(
        lose((left) => left.entry(entry(1, 5))),
        4,
      ),
      '1/5 whole',
      'it was not asked for',
    )
  },
)

t.test('a log that ends before what was there', async (t) => {
  const left = new LeftEntries(0)
  left.entry(entry(1, 1))
  t.notOk(left.isWhole(2), 'by the word of rows')
  t.ok(left.isWhole(1))
  left.entry(entry(1, 2, 1, 7))
  t.notOk(left.isWhole(0), 'by its own')
})

t.test(
  'where rows took the place of a log, only what was committed surely held before',
  async (t) => {
    const copied = (left: LeftEntries): void => {
      for (const sequence of [1, 2, 3, 4])
        left.entry(entry(1, sequence, 1, Math.max(0, sequence - 2)))
      left.setState(end(2, 20))
    }
    t.equal(leftOf(copied), '1/1 1/2 torn')
    const later = (left: LeftEntries): void => {
      copied(left)
      left.entry(entry(2, 21))
    }
    t.equal(leftOf(later), '1/1 1/2 2/21 torn')
    t.equal(leftOf(later, 20), '2/21 whole')
  },
)

interface Left {
  standing: string
  isWhole: boolean
  keys: string[]
  sequences: number[]
}

async function leftOn(cluster: ReplicaCluster, node: number, after = 0): Promise<Left> {
  const { replicas } = cluster.decisions.get(P)!
  const id = replicas.find((replica) => parseReplicaId(replica)!.driveId === node)!
  const left = { isWhole: true, keys: [] as string[], sequences: [] as number[] }
  for await (const page of cluster.host(node).readLog(id, after)) {
    left.isWhole = page.isWhole
    for (const { sequence, batch } of page.entries) {
      left.sequences.push(sequence)
      for (const { key } of decodeBatch(batch)) left.keys.push(Buffer.from(key).toString())
    }
  }
  return { standing: cluster.host(node).standing(id, P).kind, ...left }
}

function keysFrom(first: number, count: number): string[] {
  return Array.from({ length: count - first }, (_, at) => `k${first + at}`)
}

async function damaged(
  t: Test,
  count: number,
  damage: (cluster: ReplicaCluster) => void,
): Promise<Left> {
  const cluster = await written(P, count)
  cluster.crash(2, EVERYTHING)
  damage(cluster)
  await cluster.start(2)
  const left = await leftOn(cluster, 2)
  t.same((await leftOn(cluster, 2, left.sequences[2]!)).sequences, left.sequences.slice(3))
  // Nothing is deleted of it, whatever else is written on the drive.
  await cluster.step(30)
  t.same(await leftOn(cluster, 2), left)
  await cluster.close()
  return left
}

t.test('one that lives, while it goes on', async (t) => {
  const cluster = await written(P, 12)
  const left = await leftOn(cluster, 2)
  t.match(left, { standing: 'lives', isWhole: true, keys: keysFrom(0, 12) })
  const behind = left.sequences.at(-3)!
  const { keys } = await leftOn(cluster, 2, behind)
  t.same(keys, keysFrom(10, 12), 'of which memory has all')
  t.same((await leftOn(cluster, 2, behind + 99)).keys, [])
  await cluster.close()
})

t.test('one whose rows are gone has its log', async (t) => {
  const cluster = await written(P, 12)
  await cluster.stop(2)
  const before = cluster.node(2).machine.disk.files(LOG)
  await cluster.start(2)
  const append = (write: number): Promise<unknown> =>
    cluster.wait(cluster.reignOf(P)!.log.append(put(`k${write}`, '')))
  for (let write = 12; write < 16; write += 1) await append(write)
  // With a marker its state is written anew, so that older files are not needed.
  await cluster.step(20)
  for (let write = 16; write < 20; write += 1) await append(write)
  cluster.crash(2, EVERYTHING)
  const { disk, levels } = cluster.node(2).machine
  for (const path of before) if (disk.files(LOG).includes(path)) await disk.remove(path)
  levels.clear('/drive/meta.db')
  await cluster.start(2)
  const left = await leftOn(cluster, 2)
  t.match(left, { standing: 'damaged', isWhole: true })
  t.same(left.keys.slice(-8), keysFrom(12, 20))
  await cluster.close()
})

t.test('one that lost a record in between has what was before and after it', async (t) => {
  const isEntry = ({ record }: WholeRecord): boolean => record.kind === RecordKind.ReplicatedEntry
  const left = await damaged(t, 12, (cluster) => {
    const rotten = recordsOf(cluster, 2).filter(isEntry).at(-3)!
    cluster.node(2).machine.disk.flip(rotten.path, rotten.at + 70)
  })
  t.match(left, { standing: 'damaged', isWhole: false })
  t.same(left.keys, [...keysFrom(0, 9), 'k10', 'k11'])
})

t.test('one that was never there, and one on a drive that is not open', async (t) => {
  const cluster = await written(P, 2)
  const pages: LeftLogPage[] = []
  for await (const page of cluster.host(1).readLog('1-ffffffffffffffff' as never, 0))
    pages.push(page)
  t.same(pages.at(-1), { isWhole: true, entries: [] })
  t.throws(() => cluster.host(1).readLog('9-ffffffffffffffff' as never, 0), /no metadata here/)
  await cluster.close()
})
