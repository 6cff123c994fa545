// The end of a log in memory against a plain list, and what a primary sends to a replica that answers, lacks or is silent.
import t from 'tap'
import type { LogEntry } from '../../../../src/metadata/log/entry.ts'
import { USUAL_LIMITS } from '../../../../src/metadata/replication/effects.ts'
import { Follower } from '../../../../src/metadata/replication/follower.ts'
import { LogTail } from '../../../../src/metadata/replication/log-tail.ts'
import { Seeded, seedOfRun } from '../../../support/seeded.ts'

function entryAfter(last: { epoch: number; sequence: number }, epoch: number, bytes = 4): LogEntry {
  const batch = Buffer.alloc(bytes)
  return { epoch, sequence: last.sequence + 1, prevEpoch: last.epoch, committed: 0, batch }
}

function tailOf(count: number, bytes = 4): LogTail {
  const tail = new LogTail({ epoch: 0, sequence: 0 })
  for (let made = 0; made < count; made += 1) tail.append(entryAfter(tail.last, 1, bytes))
  return tail
}

t.test('a tail is a list with a base', async (t) => {
  const random = new Seeded(seedOfRun())
  t.comment(`SEED=${random.seed}`)
  const tail = new LogTail({ epoch: 0, sequence: 0 })
  let list: LogEntry[] = []
  let base = { epoch: 0, sequence: 0 }
  for (let step = 1; step < 400; step += 1) {
    const place = random.below(list.length + 1)
    const at = list[place - 1] ?? base
    if (random.below(4) === 0) {
      tail.forget(at.sequence, { entries: 0, bytes: 0 })
      list = list.slice(place)
      base = { epoch: at.epoch, sequence: at.sequence }
    } else if (random.below(8) === 0) {
      base = { epoch: step, sequence: base.sequence + 1 + random.below(list.length + 3) }
      tail.rebase(base)
      list = []
    } else {
      const from = random.below(3) === 0 ? at : (list.at(-1) ?? base)
      const entry = entryAfter(from, step, random.below(9))
      tail.append(entry)
      list = [...list.filter(({ sequence }) => sequence < entry.sequence), entry]
    }
    const { epoch, sequence } = list.at(-1) ?? base
    t.same(tail.last, { epoch, sequence })
    t.same(tail.base, base)
    t.same(tail.after(base.sequence, { entries: 1000, bytes: 1e6 }), list)
    t.equal(
      tail.bytes,
      list.reduce((sum, { batch }) => sum + batch.length, 0),
    )
  }
})

t.test('rows that were copied keep the entries that follow them', async (t) => {
  const tail = tailOf(5)
  tail.rebase({ epoch: 1, sequence: 3 })
  t.same(tail.last, { epoch: 1, sequence: 5 })
  tail.rebase({ epoch: 2, sequence: 4 })
  t.same(tail.last, { epoch: 2, sequence: 4 }, 'those of another epoch do not')
})

t.test('a portion is never empty where there is something', async (t) => {
  const tail = tailOf(5, 100)
  t.equal(tail.after(0, { entries: 9, bytes: 10 }).length, 1)
  t.equal(tail.after(0, { entries: 9, bytes: 250 }).length, 2)
  t.equal(tail.after(0, { entries: 3, bytes: 1000 }).length, 3)
})

t.test('a replica is probed, then sent a window, then waited for', async (t) => {
  const tail = tailOf(10)
  const limits = { ...USUAL_LIMITS, messageEntries: 2, windowEntries: 4 }
  const follower = new Follower(10, limits)
  t.same(follower.take(tail), { kind: 'entries', previous: tail.last, entries: [] })
  t.equal(follower.take(tail), undefined, 'one question at a time')
  follower.behind(3)
  const probe = follower.take(tail)
  t.match(probe, { kind: 'entries', previous: { sequence: 3 } })
  t.equal(follower.take(tail), undefined)
  follower.behind(3)
  t.equal(follower.take(tail), undefined, 'the same answer again changes nothing')
  follower.appended(5)
  t.match(follower.take(tail), { previous: { sequence: 5 } })
  t.match(follower.take(tail), { previous: { sequence: 7 } })
  t.equal(follower.take(tail), undefined, 'the window is full')
  follower.appended(7)
  t.match(follower.take(tail), { previous: { sequence: 9 } })
  for (let tick = 0; tick < limits.resendTicks; tick += 1) follower.tick(10)
  t.match(follower.take(tail), { previous: { sequence: 7 } }, 'sent again')
  tail.forget(9, { entries: 0, bytes: 0 })
  for (let tick = 0; tick < limits.resendTicks; tick += 1) follower.tick(10)
  t.same(follower.take(tail), { kind: 'install', base: { epoch: 1, sequence: 9 } })
})

t.test('what is lacked is kept up to a limit of its own', async (t) => {
  const few = { entries: 2, bytes: 1e6 }
  const forgotten = (...[after, entries, bytes]: [number, number, number]): number => {
    const tail = tailOf(20, 10)
    tail.forget(18, few, { after, portion: { entries, bytes } })
    return tail.base.sequence
  }
  t.equal(forgotten(12, 100, 1e6), 12)
  t.equal(forgotten(0, 100, 1e6), 0)
  t.equal(forgotten(20, 100, 1e6), 18, 'nothing is lacked')
  t.equal(forgotten(12, 5, 1e6), 15, 'too many')
  t.equal(forgotten(12, 100, 45), 16, 'too much')
  t.equal(forgotten(12, 1, 1e6), 18, 'less than is kept for everybody')
})
