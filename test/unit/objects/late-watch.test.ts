// Who waits too long hears of it once, and at his own time, however many wait and in whatever order they came.
import t from 'tap'
import { LateWatch } from '../../../src/objects/late-watch.ts'

/** A clock that stands until it is moved. */
class HandClock {
  nowMs = 0
  sleepers: { atMs: number; wake(): void }[] = []

  monotonicMs(): number {
    return this.nowMs
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => this.sleepers.push({ atMs: this.nowMs + ms, wake }))
  }

  async moveTo(nowMs: number): Promise<void> {
    this.nowMs = nowMs
    const due = this.sleepers.filter(({ atMs }) => atMs <= nowMs)
    this.sleepers = this.sleepers.filter(({ atMs }) => atMs > nowMs)
    for (const { wake } of due) wake()
    await new Promise(setImmediate)
  }
}

t.test('each is late at its own time', async (t) => {
  const clock = new HandClock()
  const watch = new LateWatch(clock)
  const late: string[] = []
  watch.in(50, () => late.push('fifty'))
  watch.in(20, () => late.push('twenty'))
  watch.in(90, () => late.push('ninety'))
  const forget = watch.in(30, () => late.push('never'))
  await clock.moveTo(19)
  t.same(late, [])
  await clock.moveTo(20)
  t.same(late, ['twenty'])
  forget()
  await clock.moveTo(49)
  t.same(late, ['twenty'])
  await clock.moveTo(51)
  t.same(late, ['twenty', 'fifty'])
  await clock.moveTo(200)
  t.same(late, ['twenty', 'fifty', 'ninety'])
  t.same(clock.sleepers, [], 'nobody is left to wake')
})

t.test('many that come one after the other sleep together', async (t) => {
  const clock = new HandClock()
  const watch = new LateWatch(clock)
  let late = 0
  for (let at = 0; at < 1000; at += 1) {
    const forget = watch.in(15, () => {
      late += 1
    })
    if (at % 10 > 0) forget()
  }
  t.equal(clock.sleepers.length, 1)
  await clock.moveTo(15)
  t.equal(late, 100)
  t.equal(clock.sleepers.length, 0)
})

t.test('those who come and go in any order hear of it as often as they wait', async (t) => {
  const clock = new HandClock()
  const watch = new LateWatch(clock)
  const heard = new Map<number, number>()
  const forgets = Array.from({ length: 100 }, (_, at) =>
    watch.in(10 + (at % 7), () => heard.set(at, (heard.get(at) ?? 0) + 1)),
  )
  for (let at = 0; at < 100; at += 3) forgets[at]!()
  for (let at = 0; at < 100; at += 6) forgets[at]!() // Again, without effect.
  for (let ms = 10; ms < 20; ms += 1) await clock.moveTo(ms)
  const wanted = Array.from({ length: 100 }, (_, at) => at).filter((at) => at % 3 > 0)
  t.same(
    [...heard.keys()].sort((a, b) => a - b),
    wanted,
  )
  t.ok([...heard.values()].every((times) => times === 1))
  t.same(watch.waiting(), [])
})

t.test('one that is forgotten leaves the others their time', async (t) => {
  const clock = new HandClock()
  const watch = new LateWatch(clock)
  const late: string[] = []
  watch.in(10, () => late.push('first'))()
  watch.in(25, () => late.push('second'))
  await clock.moveTo(10)
  t.same(late, [])
  await clock.moveTo(25)
  t.same(late, ['second'])
})
