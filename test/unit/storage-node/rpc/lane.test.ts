// A lane whose requests must not wait for each other: a batch that is slow makes room for the next.
import t from 'tap'
import { Lane, type LaneRequest, type SendBatch } from '../../../../src/storage-node/rpc/lane.ts'

interface SentBatch {
  requests: readonly LaneRequest[]
  /** All of it, and its end. */
  answer: () => void
  answerAll: () => void
  end: () => void
  signal: AbortSignal
}

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
  const batches: SentBatch[] = []
  const send: SendBatch = (requests, onAnswer, signal) =>
    new Promise((end) => {
      const answerAll = (): void => {
        requests.forEach((_, id) => {
          onAnswer({ kind: 'done', id, body: new Uint8Array(0) })
        })
      }
      const answer = (): void => {
        answerAll()
        end()
      }
      batches.push({ requests, answer, answerAll, end, signal })
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

t.test('a batch that is answered may end, for its connection is used again', async (t) => {
  const { batches, ask, pass } = openLane({})
  const asked = ask()
  await turn()
  batches[0]!.answerAll()
  await asked
  await pass(1_000)
  t.notOk(batches[0]!.signal.aborted, 'its end is waited for')
  batches[0]!.end()
  const another = ask()
  await turn()
  batches[1]!.answerAll()
  await another
  await pass(5_000)
  t.ok(batches[1]!.signal.aborted, 'not for ever')
})

t.test('a batch that nobody waits for any more is broken off', async (t) => {
  const { batches, ask, pass } = openLane({})
  const asked = ask()
  await turn()
  await Promise.all([t.rejects(asked, { name: 'NodeUnreachable' }), pass(60_000)])
  t.ok(batches[0]!.signal.aborted)
})
