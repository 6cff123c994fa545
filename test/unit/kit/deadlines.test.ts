// Waits under one timer: each ends in its own time, and what ended is not told again.
import t from 'tap'
import { Deadlines } from '../../../src/kit/deadlines.ts'

/** A clock that goes on when a test says so. */
class StandingClock {
  #nowMs = 0
  #sleepers: { untilMs: number; wake: () => void }[] = []

  monotonicMs = (): number => this.#nowMs

  sleep = (ms: number): Promise<void> =>
    new Promise((wake) => {
      this.#sleepers.push({ untilMs: this.#nowMs + ms, wake })
    })

  get sleepers(): number {
    return this.#sleepers.length
  }

  async goOn(ms: number): Promise<void> {
    this.#nowMs += ms
    const due = this.#sleepers.filter(({ untilMs }) => untilMs <= this.#nowMs)
    this.#sleepers = this.#sleepers.filter(({ untilMs }) => untilMs > this.#nowMs)
    for (const { wake } of due) wake()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function late(): never {
  throw new Error('late')
}

t.test('what ends in time is given as it ends', async (t) => {
  const clock = new StandingClock()
  const deadlines = new Deadlines(100, clock)
  t.equal(await deadlines.within(Promise.resolve(7), late), 7)
  await t.rejects(deadlines.within(Promise.reject(new Error('own')), late), { message: 'own' })
  t.equal(clock.sleepers, 1, 'one timer for all of them')
  await clock.goOn(100)
  t.equal(clock.sleepers, 0, 'and none when nobody waits')
})

t.test('each wait has its own end', async (t) => {
  const clock = new StandingClock()
  const deadlines = new Deadlines(100, clock)
  const never = new Promise<never>(() => {})
  const ends: string[] = []
  const wait = (name: string, work: Promise<unknown>): void => {
    deadlines.within(work, late).then(
      () => ends.push(`${name} done`),
      (error: Error) => ends.push(`${name} ${error.message}`),
    )
  }
  wait('first', never)
  await clock.goOn(60)
  wait('second', never)
  let finish = (): void => {}
  wait('third', new Promise<void>((resolve) => (finish = resolve)))
  await clock.goOn(39)
  t.same(ends, [])
  await clock.goOn(1)
  t.same(ends, ['first late'])
  finish()
  await clock.goOn(59)
  t.same(ends, ['first late', 'third done'])
  await clock.goOn(1)
  t.same(ends, ['first late', 'third done', 'second late'])
  t.equal(clock.sleepers, 0)
})
