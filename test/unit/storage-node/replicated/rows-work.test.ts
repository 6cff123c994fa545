// Work on the rows of one replica, alone: their queue, digests, rows that are made anew, and how much of it goes on at once.
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { BEGINNING } from '../../../../src/metadata/log/entry.ts'
import type { ReplicaId } from '../../../../src/metadata/replication/decision.ts'
import type { RowsPage } from '../../../../src/storage-node/replicated/contract.ts'
import {
  type RenewedReplica,
  RowsRenewal,
} from '../../../../src/storage-node/replicated/renew-rows.ts'
import { newReplicaState } from '../../../../src/storage-node/replicated/replica-state.ts'
import { RowJobs } from '../../../../src/storage-node/replicated/row-jobs.ts'
import {
  DigestJob,
  type DigestSource,
} from '../../../../src/storage-node/replicated/rows-digest.ts'
import { RowsQueue } from '../../../../src/storage-node/replicated/rows-queue.ts'

await prepareDigests()

const OLD = 1
const INSTALLED = 7
const COPY = 2
const at = (sequence: number) => ({ epoch: 1, sequence })

/** Time goes on by hand, and nobody sleeps to the end. */
class HeldClock {
  nowMs = 0

  now(): number {
    return this.nowMs
  }

  monotonicMs(): number {
    return this.nowMs
  }

  sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((_resolve, reject) => {
      if (signal?.aborted) reject(signal.reason)
      else signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
}

/** A replica with rows in one slot, which a test changes while they are made anew. */
function renewed() {
  const applied = new Map([[OLD, at(5)]])
  const journal = { state: newReplicaState(OLD), written: [] as unknown[] }
  const found = { slot: OLD, isLeading: false, marks: 0, onMark: (_mark: number) => {} }
  const parts: RenewedReplica = {
    ...{ incarnation: 'i', clock: new HeldClock(), ended: new AbortController().signal },
    drive: {
      takeSlot: async () => {
        applied.set(COPY, BEGINNING)
        return COPY
      },
      freeSlot: async (slot) => void applied.delete(slot),
      apply: async (slot, change) => void applied.set(slot, change.applied),
      appliedIn: (slot) => at(applied.get(slot)!.sequence),
      mark: async () => {
        found.marks += 1
        found.onMark(found.marks)
        return undefined
      },
    },
    journal: {
      get state() {
        return journal.state
      },
      write: (changes, _slotOf, onDurable) => {
        journal.written.push(changes)
        onDurable()
      },
    },
    rows: new RowsQueue(
      async () => {},
      (error) => {
        throw error
      },
    ),
    ...{ slot: () => found.slot, mayMove: () => !found.isLeading },
    moveTo: (slot) => {
      found.slot = slot
    },
  }
  return { applied, journal, found, parts }
}

async function* pages(sequence: number, onPage = (_page: number) => {}): AsyncGenerator<RowsPage> {
  for (let page = 1; page <= 50; page += 1) {
    onPage(page)
    yield { position: at(sequence), rows: [] }
  }
}

t.test('rows are made anew', async (t) => {
  const { applied, journal, found, parts } = renewed()
  await new RowsRenewal(parts).run(pages(5))
  t.equal(found.slot, COPY)
  t.same([...applied.keys()], [COPY])
  t.equal(journal.written.length, 1)
})

t.test('an install that ends meanwhile ends the renewal, and nothing else', async (t) => {
  const { applied, found, parts } = renewed()
  const renewal = new RowsRenewal(parts)
  const install = (page: number): void => {
    if (page !== 2) return
    found.slot = INSTALLED
    applied.set(INSTALLED, at(9))
    applied.delete(OLD)
  }
  await t.rejects(renewal.run(pages(5, install)), /for another reason/)
  t.same([...applied.keys()], [INSTALLED])
  let isSeen = false
  parts.rows.see(() => {
    isSeen = true
  })
  await setImmediate()
  t.ok(isSeen, 'the queue goes on')
})

t.test('an install that is said in the log last holds', async (t) => {
  const { applied, journal, found, parts } = renewed()
  found.onMark = (mark) => {
    // Of the copy, and then of what was caught up.
    if (mark === 2) journal.state = newReplicaState(INSTALLED)
  }
  await t.rejects(new RowsRenewal(parts).run(pages(5)), /for another reason/)
  t.same(journal.written, [])
  t.same([...applied.keys()], [OLD])
})

t.test('nothing is put in place while the replica leads', async (t) => {
  const { found, parts } = renewed()
  found.isLeading = true
  await t.rejects(new RowsRenewal(parts).run(pages(5)), /leads/)
  t.equal(found.slot, OLD)
})

t.test('what is written while rows are copied is remembered up to a limit', async (t) => {
  const { applied, parts } = renewed()
  const renewal = new RowsRenewal(parts)
  const batch = Buffer.alloc(20 * 1024 * 1024)
  let read = 0
  const write = (page: number): void => {
    read = page
    renewal.applied([{ ...at(5 + page), prevEpoch: 1, committed: 0, batch }])
  }
  await t.rejects(renewal.run(pages(5, write)), /too much was written/)
  t.ok(read <= 3, `${read} pages were read`)
  t.same([...applied.keys()], [OLD])
})

t.test('a look at rows that throws ends their queue', async (t) => {
  const failures: unknown[] = []
  const rows = new RowsQueue(
    async () => {},
    (error) => failures.push(error),
  )
  rows.see(() => {
    throw new Error('it looked wrong')
  })
  rows.see(() => t.fail('nothing comes after it'))
  await setImmediate()
  t.match(failures, [{ message: 'it looked wrong' }])
  await rows.close()
})

/** A digest that can not read on; `end` breaks it off before it is told so. */
async function unreadable({ isBrokenOff }: { isBrokenOff: boolean }): Promise<DigestJob> {
  const ending = new AbortController()
  const cursor = {
    next: async () => {
      if (isBrokenOff) ending.abort()
      throw new Error('the database is not open')
    },
    seek: () => {},
    close: async () => {},
  }
  const source: DigestSource = {
    drive: { cursor: () => cursor, appliedIn: () => at(3) },
    ...{ slot: () => OLD, see: (look) => look(), seeAt: () => {} },
    ...{ pace: async () => {}, ended: ending.signal },
  }
  const job = new DigestJob(source, 3)
  await setImmediate()
  return job
}

t.test('a digest that was broken off says nothing of the rows', async (t) => {
  t.equal((await unreadable({ isBrokenOff: true })).state.kind, 'waiting')
  t.equal((await unreadable({ isBrokenOff: false })).state.kind, 'rotten')
})

t.test('renewals that have ended are in nobody’s way', async (t) => {
  const clock = new HeldClock()
  const begun: string[] = []
  const ends: (() => void)[] = []
  const host = {
    startDigest: () => {
      throw new Error('no digests here')
    },
    renewRows: (id: ReplicaId) => {
      begun.push(id)
      return new Promise<void>((resolve) => ends.push(resolve))
    },
  }
  const jobs = new RowJobs({ host, world: { clock } })
  const renew = (name: string) => jobs.renew(name as ReplicaId, 1, 'source' as ReplicaId)
  for (const name of ['a', 'b', 'c', 'd']) t.equal(renew(name), 'running')
  t.throws(() => renew('e'), { name: 'Overloaded' })
  for (const end of ends) end()
  await setImmediate()
  for (const name of ['e', 'f', 'g', 'h']) t.equal(renew(name), 'running', 'those have ended')
  t.equal(renew('a'), 'done')
  clock.nowMs += 20_000
  t.throws(() => renew('b'), { name: 'Overloaded' }, 'what nobody asked after is forgotten')
  t.equal(begun.length, 8)
})
