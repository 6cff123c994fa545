// A lane whose requests must not wait for each other: a batch that is slow makes room for the next.
import t from 'tap'
import { Lane, type LaneRequest, type SendBatch } from '../../../../src/storage-node/rpc/lane.ts'

const LIMITS = { batchesUnderWay: 2, batchesMax: 4, slowMs: 50 }

/** A lane with batches that end when the test says so, and a clock of its own. */
function openLane(limits: ConstructorParameters<typeof Lane>[2]) {
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
  const batches: { requests: readonly LaneRequest[]; answer: () => void }[] = []
  const send: SendBatch = (requests, onAnswer) =>
    new Promise((resolve) => {
      const answer = (): void => {
        requests.forEach((_, id) => {
          onAnswer({ kind: 'done', id, body: new Uint8Array(0) })
        })
        resolve()
      }
      batches.push({ requests, answer })
    })
  const lane = new Lane(send, clock, limits)
  const ask = (): Promise<Uint8Array> =>
    lane.ask({ type: 1, body: new Uint8Array(1), deadlineMs: 60_000 })
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms
    for (const timer of [...timers]) {
      if (timer.atMs > nowMs) continue
      timers.delete(timer)
      timer.ring()
    }
    await turn()
  }
  return { batches, ask, pass, lane }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

t.test('what is asked meanwhile goes together, and slow batches make room', async (t) => {
  const { batches, ask, pass, lane } = openLane(LIMITS)
  const asked: Promise<unknown>[] = []
  const askSoon = async (): Promise<void> => {
    asked.push(ask())
    await turn()
  }
  for (let count = 0; count < 5; count += 1) await askSoon()
  t.same(
    batches.map(({ requests }) => requests.length),
    [1, 1],
    'two under way, three wait',
  )
  await pass(49)
  t.equal(batches.length, 2)
  await pass(1)
  t.same(
    batches.map(({ requests }) => requests.length),
    [1, 1, 3],
    'the others are slow',
  )
  for (let count = 0; count < 3; count += 1) await askSoon()
  t.equal(batches.length, 4, 'no more than so many at all')
  await pass(1000)
  t.equal(batches.length, 4)
  batches[0]!.answer()
  await turn()
  t.same(
    batches.map(({ requests }) => requests.length),
    [1, 1, 3, 1, 2],
  )
  for (const { answer } of batches.slice(1)) answer()
  await Promise.all(asked)
  await turn()
  t.ok(lane.isIdle)
})

t.test('without it slow batches are waited for', async (t) => {
  const { batches, ask, pass } = openLane({})
  for (let count = 0; count < 3; count += 1) {
    ask().catch(() => undefined)
    await turn()
  }
  await pass(10_000)
  t.equal(batches.length, 2)
})
