// Bytes that a connection holds: what is taken is what came, and lent memory is nobody else's meanwhile.
import t from 'tap'
import { HeldBytes } from '../../../../src/gateway/http1/held-bytes.ts'
import { giveBack } from '../../../../src/kit/lent-bytes.ts'
import { Seeded } from '../../../support/seeded.ts'

const READ_BYTES = 64 * 1024

t.test('what is taken is what came, in order, whatever others hold', async (t) => {
  const seeded = new Seeded(77)
  const kept: { view: Uint8Array; wanted: Buffer }[] = []
  const connections = Array.from({ length: 4 }, () => ({
    held: new HeldBytes(),
    model: Buffer.alloc(0),
  }))
  for (let round = 0; round < 2_000; round += 1) {
    const one = connections[seeded.below(connections.length)]!
    const { held } = one
    if (seeded.below(3) > 0 && held.length < 2 * READ_BYTES) {
      const bytes = seeded.bytes(1 + seeded.below(seeded.below(2) === 0 ? 300 : READ_BYTES))
      const from = seeded.below(bytes.length)
      held.add(bytes, from, bytes.length)
      one.model = Buffer.concat([one.model, bytes.subarray(from)])
    } else {
      const taken = seeded.below(2) === 0 ? held.length : seeded.below(held.length + 1)
      const end = held.start + taken
      const view = held.keep(held.bytes, held.start, end)
      kept.push({ view, wanted: Buffer.from(one.model.subarray(0, taken)) })
      held.takenTo(end)
      one.model = one.model.subarray(taken)
    }
    const isHeld = one.model.equals(held.bytes.subarray(held.start, held.end))
    if (!isHeld) return t.fail(`round ${round}: what is held is not what came`)
    while (kept.length > 20) {
      const [{ view, wanted }] = kept.splice(seeded.below(kept.length), 1) as [(typeof kept)[0]]
      if (!wanted.equals(view)) return t.fail(`round ${round}: what was kept has changed`)
      giveBack(view)
    }
  }
  t.ok(kept.every(({ view, wanted }) => wanted.equals(view)))
})

t.test(
  'the body that came with its head is copied once, into memory that is lent again',
  async (t) => {
    const bytes = Buffer.alloc(60_000, 7)
    const held = new HeldBytes()
    held.add(bytes, 100, bytes.length)
    const memory = held.bytes.buffer
    const body = held.keep(held.bytes, held.start, held.end)
    held.takenTo(held.end)
    t.equal(body.buffer, memory)
    t.ok(bytes.subarray(100).equals(body))
    held.add(bytes, 0, bytes.length)
    t.not(held.bytes.buffer, memory, 'somebody reads it')
    held.clear()
    giveBack(body)
    held.add(bytes, 0, bytes.length)
    t.equal(held.bytes.buffer, memory, 'it was given back last')
  },
)

t.test('a request behind the body is not part of what is lent', async (t) => {
  const held = new HeldBytes()
  held.add(Buffer.alloc(40_000, 7), 0, 40_000)
  const body = held.keep(held.bytes, 0, 30_000)
  t.not(body.buffer, held.bytes.buffer)
  held.takenTo(30_000)
  t.equal(held.length, 10_000)
  held.add(Buffer.alloc(9_000, 8), 0, 9_000)
  t.ok(Buffer.alloc(30_000, 7).equals(body))
})
