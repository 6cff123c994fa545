// What is read into memory that is used again: nothing that somebody has yet is overwritten.
import t from 'tap'
import { giveBack } from '../../../src/kit/lent-bytes.ts'
import { FrameKind, FrameSplitter, frameHead } from '../../../src/store-link/frames.ts'
import { LinkMemory } from '../../../src/store-link/link-memory.ts'
import { Seeded, seedOfRun } from '../../support/seeded.ts'

/** Gives the stream in these cuts as a socket does that reads into `memory`; what lay there before is gone. */
function* arrive(stream: Buffer, memory: LinkMemory, cut: () => number): Generator<void> {
  let room = memory.buffer()
  for (let at = 0; at < stream.length; ) {
    const bytes = Math.min(stream.length - at, cut(), room.length)
    room.fill(0xee)
    room.set(stream.subarray(at, at + bytes))
    memory.callback(bytes)
    at += bytes
    room = memory.buffer()
    yield
  }
}

t.test('frames stay as they came, and bytes until they are given back', async (t) => {
  const random = new Seeded(seedOfRun())
  for (let round = 0; round < 40; round += 1) {
    const sent = Array.from({ length: 1 + random.below(8) }, (_, id) => ({
      kind: random.pick([FrameKind.Done, FrameKind.Bytes]),
      id,
      payload: random.bytes(random.pick([1, 20, 3_000, 40_000, 300_000])),
    }))
    const stream = Buffer.concat(
      sent.flatMap(({ kind, id, payload }) => [frameHead(kind, id, payload.length), payload]),
    )
    const found = sent.map(() => [] as Buffer[])
    const held: { id: number; bytes: Uint8Array }[] = []
    const letGo = (count: number): void => {
      for (const { id, bytes } of held.splice(0, count)) {
        found[id]!.push(Buffer.from(bytes))
        giveBack(bytes)
      }
    }
    const frames: { id: number; payload: Buffer }[] = []
    const splitter = new FrameSplitter({
      onFrame: (_kind, id, payload) => frames.push({ id, payload }),
      onBytes: (id, bytes) => held.push({ id, bytes }),
    })
    const memory = new LinkMemory()
    memory.readBy((bytes, lender) => splitter.take(bytes, lender))
    const largest = random.pick([10_000, 70_000, 300_000])
    for (const _ of arrive(stream, memory, () => 1 + random.below(largest))) letGo(random.below(3))
    letGo(held.length)
    for (const { id, payload } of frames) found[id]!.push(payload)
    t.ok(sent.every(({ id, payload }) => payload.equals(Buffer.concat(found[id]!))))
  }
})

t.test('memory is used again once nobody has what lay in it', async (t) => {
  const memory = new LinkMemory()
  const splitter = new FrameSplitter({
    onFrame: () => {},
    onBytes: (_id, bytes) => held.push(bytes),
  })
  const held: Uint8Array[] = []
  memory.readBy((bytes, lender) => splitter.take(bytes, lender))
  const bytes = 40_000
  const fill = (): Uint8Array => {
    const room = memory.buffer()
    room.set(frameHead(FrameKind.Bytes, 1, bytes))
    memory.callback(9 + bytes)
    return room
  }
  const first = fill()
  giveBack(held[0]!)
  t.equal(fill(), first, 'nobody had it')
  t.not(fill(), first, 'it is lent')
})
