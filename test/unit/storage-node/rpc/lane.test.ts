// A lane has so many requests under way; what is late is given up, wherever it is.
import t from 'tap'
import { type AskedRequest, Lane, type LaneLimits } from '../../../../src/storage-node/rpc/lane.ts'

/** A lane whose requests the test settles, and a clock of its own. */
function openLane(limits: Partial<LaneLimits>) {
  let nowMs = 0
  const timers = new Set<{ atMs: number; ring: () => void }>()
  const clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const timer = { atMs: nowMs + ms, ring: resolve }
        timers.add(timer)
        signal?.addEventListener('abort', () => {
          timers.delete(timer)
          reject(signal.reason)
        })
      }),
  }
  const sent: AskedRequest[] = []
  const lane = new Lane((asked) => sent.push(asked), clock, limits)
  const ask = (bytes = 1, deadlineMs = 60_000): Promise<Uint8Array> =>
    lane.ask({ type: 1, body: new Uint8Array(bytes), deadlineMs })
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms
    for (const timer of [...timers]) {
      if (timer.atMs > nowMs) continue
      timers.delete(timer)
      timer.ring()
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { sent, ask, pass, lane }
}

const DONE = { body: new Uint8Array(0) }

t.test('so many are under way, and each that ends makes room for the next', async (t) => {
  const { sent, ask, lane } = openLane({ underWay: 2, waiting: 2 })
  const asked = [ask(), ask(), ask(), ask()]
  t.equal(sent.length, 2)
  await t.rejects(ask(), { code: 'OVERLOADED' })
  sent[1]!.settle(DONE)
  t.equal(sent.length, 3)
  sent[0]!.settle(DONE)
  t.equal(sent.length, 4)
  for (const one of sent) one.settle(DONE)
  await Promise.all(asked)
  t.ok(lane.isIdle)
})

t.test('so many bytes are under way, but one request always is', async (t) => {
  const { sent, ask } = openLane({ underWayBytes: 100 })
  const asked = [ask(150), ask(60), ask(30), ask(20)]
  t.equal(sent.length, 1)
  sent[0]!.settle(DONE)
  t.equal(sent.length, 3, 'the last one is too long for now')
  sent[2]!.settle(DONE)
  t.equal(sent.length, 4)
  for (const one of sent) one.settle(DONE)
  await Promise.all(asked)
})

t.test('what is late is given up, and its way hears of it', async (t) => {
  const { sent, ask, pass, lane } = openLane({ underWay: 2 })
  const givenUp: AskedRequest[] = []
  const first = t.rejects(ask(1, 1_000), { code: 'NODE_UNREACHABLE', outcome: 'unknown' })
  const second = t.rejects(ask(1, 1_000), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
  const third = t.rejects(ask(1, 1_000), { code: 'NODE_UNREACHABLE', outcome: 'not-sent' })
  const fourth = ask(1, 2_000)
  sent[0]!.way = { giveUp: (asked) => givenUp.push(asked) }
  await pass(999)
  t.equal(sent.length, 2)
  await pass(1)
  await Promise.all([first, second, third])
  t.same(givenUp, [sent[0]])
  t.equal(sent.length, 3, 'what was late as well was not begun in their place')
  sent[0]!.settle(DONE)
  sent[2]!.settle({ error: new Error('told') })
  await t.rejects(fourth, { message: 'told' })
  t.ok(lane.isIdle)
})
