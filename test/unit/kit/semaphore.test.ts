// Permits are granted in order, waiting is bounded, and leaving the queue harms nobody.
import t from 'tap'
import { Overloaded, Semaphore } from '../../../src/kit/semaphore.ts'

t.test('first come, first served', async (t) => {
  const semaphore = new Semaphore(2)
  const order: string[] = []
  await semaphore.acquire(2)
  const large = semaphore.acquire(2).then(() => order.push('large'))
  const small = semaphore.acquire(1).then(() => order.push('small'))
  t.equal(semaphore.waiting, 2)
  semaphore.release(1)
  await Promise.resolve()
  t.same(order, [], 'a small one does not overtake')
  semaphore.release(1)
  await large
  semaphore.release(2)
  await small
  t.same(order, ['large', 'small'])
  t.equal(semaphore.free, 1)
})

t.test('who will not wait takes what is free, and overtakes nobody', async (t) => {
  const semaphore = new Semaphore(2)
  t.ok(semaphore.tryAcquire())
  t.notOk(semaphore.tryAcquire(2), 'too few are free')
  const waiting = semaphore.acquire(2)
  t.notOk(semaphore.tryAcquire(), 'somebody waits already')
  semaphore.release()
  await waiting
  t.equal(semaphore.free, 0)
})

t.test('an owner who ends refuses all who wait, and nobody else', async (t) => {
  const semaphore = new Semaphore(2)
  await semaphore.acquire()
  await semaphore.acquire()
  const { signal } = new AbortController()
  const waiting = [semaphore.acquire(), semaphore.acquire(2), semaphore.acquire(1, signal)]
  const refused = waiting.map((each) => t.rejects(each, { message: 'the end' }))
  semaphore.refuseWaiting(new Error('the end'))
  await Promise.all(refused)
  t.equal(semaphore.waiting, 0)
  const later = semaphore.acquire(2)
  semaphore.release(2)
  await later
  t.equal(semaphore.free, 0, 'who was refused has nothing')
})

t.test('the queue has a bound', async (t) => {
  const semaphore = new Semaphore(1, { maxWaiting: 1 })
  await semaphore.acquire()
  const waiting = semaphore.acquire()
  await t.rejects(semaphore.acquire(), Overloaded)
  semaphore.release()
  await waiting
})

t.test('or the permits that wait have one', async (t) => {
  const semaphore = new Semaphore(4, { maxWaitingPermits: 5 })
  await semaphore.acquire(4)
  const leaving = new AbortController()
  const first = semaphore.acquire(3)
  const second = semaphore.acquire(2, leaving.signal)
  await t.rejects(semaphore.acquire(1), Overloaded)
  leaving.abort(new Error('gone'))
  await t.rejects(second, /gone/)
  const third = semaphore.acquire(2)
  await t.rejects(semaphore.acquire(1), Overloaded)
  semaphore.release(4)
  await first
  const fourth = semaphore.acquire(3)
  await t.rejects(semaphore.acquire(1), Overloaded, 'two and three wait')
  semaphore.refuseWaiting(new Error('it ends'))
  await Promise.all([t.rejects(third, /it ends/), t.rejects(fourth, /it ends/)])
  semaphore.release(3)
  await semaphore.acquire(4)
})

t.test('who leaves the queue lets the next one through', async (t) => {
  const semaphore = new Semaphore(2)
  await semaphore.acquire()
  const leaving = new AbortController()
  const large = semaphore.acquire(2, leaving.signal)
  const small = semaphore.acquire(1)
  leaving.abort(new Error('gone'))
  await t.rejects(large, /gone/)
  await small
  t.equal(semaphore.free, 0)
  await t.rejects(semaphore.acquire(1, leaving.signal), /gone/)
})

t.test('permits are not made up', async (t) => {
  const semaphore = new Semaphore(1)
  t.throws(() => semaphore.release(), /given back twice/)
  await t.rejects(semaphore.acquire(2), /more permits than there are/)
})
