// Frames are the same however the socket cuts them.
import t from 'tap'
import { FrameKind, FrameSplitter, frameHead } from '../../../src/store-link/frames.ts'
import { Seeded, seedOfRun } from '../../support/seeded.ts'

interface Sent {
  kind: number
  id: number
  payload: Buffer
}

/** What a splitter says of the stream when it comes in these cuts; bytes of one frame are put together again. */
function heard(stream: Buffer, cut: () => number): Sent[] {
  const found: Sent[] = []
  const splitter = new FrameSplitter({
    onFrame: (kind, id, payload) => found.push({ kind, id, payload: Buffer.from(payload) }),
    onBytes: (id, bytes) => {
      const last = found.at(-1)
      if (last?.kind === FrameKind.Bytes && last.id === id)
        last.payload = Buffer.concat([last.payload, bytes])
      else found.push({ kind: FrameKind.Bytes, id, payload: Buffer.from(bytes) })
    },
  })
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(stream.length, at + cut())
    splitter.take(stream.subarray(at, end))
    at = end
  }
  return found
}

t.test('frames and bytes are found in any cuts', async (t) => {
  const random = new Seeded(seedOfRun())
  for (let round = 0; round < 200; round += 1) {
    const sent: Sent[] = Array.from({ length: 1 + random.below(8) }, (_, at) => ({
      kind: random.pick([FrameKind.Call, FrameKind.Done, FrameKind.Bytes, FrameKind.Abort]),
      // Bytes of neighbours are told apart by it.
      id: at * 7 + 2 ** 31,
      payload: Buffer.from(random.bytes(random.pick([0, 1, 8, 9, 10, 200, 3_000]))),
    })).filter(({ kind, payload }) => kind !== FrameKind.Bytes || payload.length > 0)
    const stream = Buffer.concat(
      sent.flatMap(({ kind, id, payload }) => [frameHead(kind, id, payload.length), payload]),
    )
    const largest = random.pick([1, 3, 10, 500, 100_000])
    const found = heard(stream, () => 1 + random.below(largest))
    t.same(found, sent)
  }
})
