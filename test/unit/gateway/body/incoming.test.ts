// Bodies that come slowly, by a clock that only the client's bytes move.
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { type IncomingOptions, readIncoming } from '../../../../src/gateway/body/incoming.ts'

/** A body whose chunks of 10 bytes are waited for so long, each; what is done with one takes a minute. */
async function read(waitsMs: number[], options: Partial<IncomingOptions>): Promise<number> {
  let nowMs = 0
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const waitMs of waitsMs) {
      nowMs += waitMs
      yield new Uint8Array(10)
    }
  }
  const request = { complete: true, iterator: chunks } as unknown as IncomingMessage
  const clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: () => new Promise<void>(() => {}),
  }
  const ignored = { onStart: () => {}, onBytes: () => {} }
  let bytes = 0
  for await (const chunk of readIncoming(request, {
    clock,
    idleMs: 1_000,
    ...ignored,
    ...options,
  })) {
    bytes += chunk.length
    nowMs += 60_000
  }
  return bytes
}

t.test('a form that trickles is given up, whoever reads it slowly', async (t) => {
  const bytesPerSecondMin = 100
  t.equal(await read([1_000, 0, 0], { bytesPerSecondMin }), 30, 'a slow start')
  t.equal(await read(new Array(50).fill(100), { bytesPerSecondMin }), 500, 'just fast enough')
  t.equal(await read(new Array(50).fill(900), {}), 500, 'what is no form may')
  await t.rejects(read(new Array(50).fill(200), { bytesPerSecondMin }), { code: 'RequestTimeout' })
})
