// Who runs and who waits: large requests never have all turns, and neither kind waits for ever behind the other.
import t, { type Test } from 'tap'
import { sizeOfRequest, type Turn, Turns } from '../../../src/gateway/turns.ts'

const never = new AbortController().signal
const LARGE = 10 * 1024 * 1024

t.test('large requests have half of the turns, small ones all that are left', async (t) => {
  const turns = new Turns({ inFlight: 4, waiting: 10 })
  t.ok(turns.tryTake('large'))
  t.ok(turns.tryTake('large'))
  t.notOk(turns.tryTake('large'))
  t.ok(turns.tryTake('small'))
  t.ok(turns.tryTake('small'))
  t.notOk(turns.tryTake('small'))
})

t.test('small requests do not wait behind large ones', async (t) => {
  const turns = new Turns({ inFlight: 4, waiting: 10 })
  const uploads = take(t, turns, 'large', 4)
  const heads = take(t, turns, 'small', 3)
  await settled()
  t.strictSame([uploads.granted(), heads.granted()], [2, 2])
  heads.end(0)
  await settled()
  t.strictSame([uploads.granted(), heads.granted()], [2, 3])
  uploads.end(0)
  await settled()
  t.strictSame([uploads.granted(), heads.granted()], [3, 3])
})

t.test('of those that may run whoever came first is next', async (t) => {
  const turns = new Turns({ inFlight: 2, waiting: 10 })
  const running = take(t, turns, 'small', 2)
  const upload = take(t, turns, 'large', 1)
  const heads = take(t, turns, 'small', 5)
  await settled()
  running.end(0)
  await settled()
  t.strictSame([upload.granted(), heads.granted()], [1, 0])
  running.end(1)
  await settled()
  t.strictSame([upload.granted(), heads.granted()], [1, 1])
})

t.test('an answer that turns out large counts as large until it is sent', async (t) => {
  const turns = new Turns({ inFlight: 2, waiting: 10 })
  const get = turns.tryTake('small')!
  t.ok(get.maySend(1))
  t.ok(get.maySend(LARGE))
  t.ok(get.maySend(LARGE), 'once is enough')
  t.notOk(turns.tryTake('large'))
  t.ok(turns.tryTake('small'))
  get.end()
  get.end()
  t.ok(turns.tryTake('large'))
  t.notOk(turns.tryTake('small'))
})

t.test('answers that turn out large never have all turns either', async (t) => {
  const turns = new Turns({ inFlight: 4, waiting: 10 })
  const gets = [1, 2, 3, 4].map(() => turns.tryTake('small')!)
  t.same(
    gets.map((get) => get.maySend(LARGE)),
    [true, true, false, false],
  )
  gets[2]!.end()
  const third = turns.take('large', never)
  t.ok(turns.tryTake('small'))
  gets[3]!.end()
  gets[0]!.end()
  ;(await third).end()
})

t.test('an answer that turns out large does not pass those that wait', async (t) => {
  const turns = new Turns({ inFlight: 2, waiting: 10 })
  const [get] = [turns.tryTake('small')!, turns.tryTake('small')!]
  const upload = take(t, turns, 'large', 1)
  t.notOk(get.maySend(LARGE))
  get.end()
  await settled()
  t.equal(upload.granted(), 1)
})

t.test('each line has its bound, and whoever leaves makes room in it', async (t) => {
  const turns = new Turns({ inFlight: 1, waiting: 1 })
  const first = turns.tryTake('small')!
  const leaving = new AbortController()
  const waiting = turns.take('small', leaving.signal)
  await t.rejects(turns.take('small', never), { code: 'OVERLOADED' })
  const upload = turns.take('large', never)
  await t.rejects(turns.take('large', never), { code: 'OVERLOADED' })
  leaving.abort(new Error('gone'))
  await t.rejects(waiting, { message: 'gone' })
  const next = turns.take('small', never)
  first.end()
  ;(await upload).end()
  ;(await next).end()
  t.ok(turns.tryTake('large'))
})

t.test('what the head of a request tells of its body', async (t) => {
  t.equal(sizeOfRequest({}), 'small')
  t.equal(sizeOfRequest({ 'content-length': String(1024 * 1024) }), 'small')
  t.equal(sizeOfRequest({ 'content-length': String(1024 * 1024 + 1) }), 'large')
  t.equal(sizeOfRequest({ 'transfer-encoding': 'chunked' }), 'large')
  const chunked = { 'transfer-encoding': 'chunked', 'x-amz-decoded-content-length': '5' }
  t.equal(sizeOfRequest(chunked), 'small')
})

/** Asks for so many turns; none of them may be refused. */
function take(t: Test, turns: Turns, size: 'small' | 'large', count: number) {
  const granted: Turn[] = []
  for (let at = 0; at < count; at += 1) {
    turns.take(size, never).then(
      (turn) => granted.push(turn),
      (error: Error) => t.fail(error.message),
    )
  }
  return { granted: () => granted.length, end: (at: number) => granted[at]!.end() }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
