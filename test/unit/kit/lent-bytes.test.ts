// Memory that is lent goes to the next reader only when nobody looks at it any more.
import t from 'tap'
import { giveBack, LentMemory, lendPart } from '../../../src/kit/lent-bytes.ts'

t.test('a slot is lent again once all of its views are back', async (t) => {
  const memory = new LentMemory({ slotBytes: 16, maxSpare: 4 })
  const slot = memory.take()
  const [left, right] = [slot.lend(0, 8), slot.lend(8, 16)]
  giveBack(left!)
  giveBack(left!)
  t.not(memory.take(), slot, 'a view that is given back twice is one view')
  giveBack(right!)
  t.equal(memory.take(), slot)
})

t.test('a part takes the place of what it is a part of', async (t) => {
  const memory = new LentMemory({ slotBytes: 16, maxSpare: 4 })
  const slot = memory.take()
  const whole = slot.lend(0, 16)
  t.equal(lendPart(whole, 0, 16), whole)
  const part = lendPart(whole, 4, 8)
  t.same([part.byteOffset - slot.bytes.byteOffset, part.length], [4, 4])
  giveBack(whole)
  t.not(memory.take(), slot, 'it was handed over')
  giveBack(part)
  t.equal(memory.take(), slot)
})

t.test('bytes that are not lent can be cut and given back as well', async (t) => {
  const bytes = Buffer.from('abcdef')
  t.same(lendPart(bytes, 2, 4), Buffer.from('cd'))
  giveBack(bytes)
  giveBack(bytes.subarray(1))
})

t.test('no more slots wait than there is room for', async (t) => {
  const memory = new LentMemory({ slotBytes: 16, maxSpare: 1 })
  const slots = [memory.take(), memory.take()]
  for (const slot of slots) slot.release()
  t.equal(memory.take(), slots[0])
  t.notOk(slots.includes(memory.take()))
})

t.test('a slot of which something is lent can not be released', async (t) => {
  const slot = new LentMemory({ slotBytes: 16, maxSpare: 1 }).take()
  slot.lend(0, 4)
  t.throws(() => slot.release(), /nobody has a view/)
})
