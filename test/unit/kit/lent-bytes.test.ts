// Memory that is lent goes to the next reader only when nobody looks at it any more.
import t from 'tap'
import {
  collect,
  giveBack,
  LentMemory,
  lendOwn,
  lendPart,
  lendParts,
} from '../../../src/kit/lent-bytes.ts'

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

t.test('a buffer of its own is freed when it is given back', async (t) => {
  const bytes = new Uint8Array(65_536).fill(7)
  const lent = lendOwn(bytes)
  t.same(lent, bytes)
  giveBack(lent)
  t.equal(bytes.buffer.byteLength, 0)
})

t.test(
  'chunks are collected into one, whether or not they are gone when they were given back',
  async (t) => {
    const all = Buffer.from(Array.from({ length: 60_000 }, (_, at) => at % 251))
    async function* cut(chunkBytes: number, end = all.length): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < end; at += chunkBytes)
        yield lendOwn(Uint8Array.from(all.subarray(at, Math.min(end, at + chunkBytes))))
    }
    for (const chunkBytes of [100, 16_384, 20_000, 59_999, 60_000])
      t.ok(all.equals(await collect(cut(chunkBytes), all.length)), `${chunkBytes}`)
    const fewer = await collect(cut(20_000, 39_999), all.length)
    t.ok(all.subarray(0, 39_999).equals(fewer), 'no more than came')
    t.equal((await collect(cut(1, 0), all.length)).length, 0)
    await t.rejects(collect(cut(20_000), 59_999), RangeError)
    await t.rejects(
      collect(cut(30_000), 30_000),
      RangeError,
      'nor one that would be all, behind another',
    )
    const whole = lendOwn(Uint8Array.from(all))
    async function* one(): AsyncGenerator<Uint8Array> {
      yield whole
    }
    t.equal(await collect(one(), all.length), whole, 'one chunk is not copied')
  },
)

t.test('what is a part of a buffer, or small, is not freed', async (t) => {
  const bytes = new Uint8Array(65_536)
  const small = new Uint8Array(100)
  for (const one of [bytes.subarray(1), small]) giveBack(lendOwn(one))
  t.same([bytes.length, small.length], [65_536, 100])
})

t.test('a buffer is freed when all of its parts are back', async (t) => {
  const lent = lendOwn(new Uint8Array(65_536))
  const parts = [lent.subarray(10, 20), lent.subarray(30)]
  lendParts(lent, parts)
  giveBack(lent)
  giveBack(parts[0]!)
  t.equal(parts[1]!.length, 65_506)
  giveBack(parts[1]!)
  t.equal(parts[1]!.length, 0)
})

t.test(
  'a buffer of which there are no parts is freed, and what is not lent has parts as well',
  async (t) => {
    const lent = lendOwn(new Uint8Array(65_536))
    lendParts(lent, [])
    t.equal(lent.length, 0)
    const bytes = new Uint8Array(10)
    lendParts(bytes, [bytes.subarray(2)])
    t.equal(bytes.length, 10)
  },
)
