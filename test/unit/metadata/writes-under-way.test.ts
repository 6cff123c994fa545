// Writes whose outcome is open are remembered, and a jump of the clock never makes a blob look old.
import { ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Uid } from '../../../src/kit/uid.ts'
import { WritesUnderWay } from '../../../src/metadata/writes-under-way.ts'
import { Seeded } from '../../support/seeded.ts'

const START_MS = 1_800_000_000_000

/** Two clocks of one machine: only one of them can be set. */
class Clocks {
  wallMs = START_MS
  passedMs = 0

  open(): WritesUnderWay {
    const random = new Seeded(7)
    return new WritesUnderWay({
      clock: {
        now: () => this.wallMs,
        monotonicMs: () => this.passedMs,
        sleep: async () => {},
      },
      random: { bytes: (count) => random.bytes(count) },
    })
  }

  pass(ms: number): void {
    this.wallMs += ms
    this.passedMs += ms
  }
}

t.test('a write is under way from its first byte to its outcome', async (t) => {
  const writes = new Clocks().open()
  const [done, open] = [writes.begin(), writes.begin()]
  t.ok(writes.has(done))
  writes.end(done)
  t.notOk(writes.has(done))
  writes.leaveOpen(open)
  t.ok(writes.has(open), 'an outcome that nobody knows is never known')
})

t.test('an outcome that is known late ends the write, a log that failed does not', async (t) => {
  const writes = new Clocks().open()
  const [late, never] = [writes.begin(), writes.begin()]
  let decide = (): void => {}
  const outcome = new Promise<void>((resolve) => {
    decide = resolve
  })
  writes.leaveOpen(late, outcome)
  writes.leaveOpen(never, Promise.reject(new Error('the log failed')))
  await new Promise(setImmediate)
  t.ok(writes.has(late))
  decide()
  await outcome
  t.notOk(writes.has(late))
  t.same(writes.underWay(), [never])
})

t.test('what was forgotten stays unknown when others are settled', async (t) => {
  const writes = new Clocks().open()
  const outcome = Promise.resolve()
  for (let count = 0; count < 100_000; count += 1) writes.leaveOpen(writes.begin(), outcome)
  const forgotten = writes.begin()
  writes.leaveOpen(forgotten)
  await new Promise(setImmediate)
  t.same(writes.underWay(), [])
  t.ok(writes.has(forgotten))
})

t.test('too many open outcomes: nothing is an orphan any more', async (t) => {
  const writes = new Clocks().open()
  for (let count = 0; count <= 100_000; count += 1) writes.leaveOpen(writes.begin())
  const done = writes.begin()
  writes.end(done)
  t.ok(writes.has(done))
  t.ok(writes.has('00'.repeat(16) as Uid))
})

t.test('no blob of this process looks older than it is, however the clock jumps', async () => {
  const event = fc.oneof(
    fc.record({ do: fc.constant('pass' as const), ms: fc.nat(100_000) }),
    fc.record({ do: fc.constant('jump' as const), ms: fc.integer({ min: -1e9, max: 1e9 }) }),
    fc.record({ do: fc.constant('write' as const), ms: fc.constant(0) }),
    fc.record({ do: fc.constant('look' as const), ms: fc.constant(0) }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const clocks = new Clocks()
      const writes = clocks.open()
      const written: { uid: Uid; atMs: number }[] = []
      for (const { do: what, ms } of events) {
        if (what === 'pass') clocks.pass(ms)
        else if (what === 'jump') clocks.wallMs += ms
        else if (what === 'write') written.push({ uid: writes.begin(), atMs: clocks.passedMs })
        for (const { uid, atMs } of what === 'look' ? written : []) {
          ok(writes.ageMs(uid) <= clocks.passedMs - atMs)
        }
      }
    }),
    { seed: 20_251_121 },
  )
})

t.test('with a steady clock the age is the age', async (t) => {
  const clocks = new Clocks()
  const writes = clocks.open()
  const uid = writes.begin()
  clocks.pass(5_000)
  t.equal(writes.ageMs(uid), 5_000)
  const earlier = (START_MS - 60_000).toString(16).padStart(12, '0') + '0'.repeat(20)
  t.equal(writes.ageMs(earlier as Uid), 65_000)
})
