// One piece of work at a time, in order, and one that fails keeps nothing from the next.
import t from 'tap'
import { Turns } from '../../../src/kit/turns.ts'

t.test('work is done one after the other, in the order in which it was asked for', async (t) => {
  const turns = new Turns()
  const seen: string[] = []
  let open: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const first = turns.run(async () => {
    seen.push('first begins')
    await gate
    seen.push('first ends')
    return 1
  })
  const second = turns.run(async () => {
    seen.push('second')
    throw new Error('it fails')
  })
  const third = turns.run(async () => seen.push('third'))
  const ended = turns.ended().then(() => seen.push('ended'))
  await new Promise((resolve) => setImmediate(resolve))
  t.same(seen, ['first begins'])
  open()
  t.equal(await first, 1)
  await t.rejects(second, { message: 'it fails' })
  await third
  await ended
  t.same(seen, ['first begins', 'first ends', 'second', 'third', 'ended'])
})

t.test('nothing to wait for is no wait, nor is what failed', async (t) => {
  const turns = new Turns()
  await turns.ended()
  await t.rejects(turns.run(() => Promise.reject(new Error('no'))))
  await t.resolves(turns.ended())
})
