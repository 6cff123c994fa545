// What is said in one turn goes together, in its order, and nothing counts as sent before what came before it.
import { Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { realWorld } from '../../../src/kit/world.ts'
import { Outbox } from '../../../src/store-link/outbox.ts'

/** A stream that takes what is written when it is told to. */
class HeldStream extends Writable {
  readonly written: Buffer[] = []
  /** Calls of the system. */
  calls = 0
  #go: (() => void) | undefined

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#take([bytes], done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  go(): void {
    this.#go?.()
  }

  #take(buffers: Buffer[], done: () => void): void {
    this.calls += 1
    this.#go = () => {
      this.#go = undefined
      this.written.push(...buffers.map((bytes) => Buffer.from(bytes)))
      done()
    }
  }
}

const { clock } = realWorld()
const LONG = Buffer.alloc(20_000, 'L')

t.test('one call for a turn, in order, short ones together', async (t) => {
  const stream = new HeldStream()
  const outbox = new Outbox(stream, clock)
  const said = [Buffer.from('a'), Buffer.from('b'), LONG, Buffer.from('c'), Buffer.from('d')]
  for (const bytes of said) outbox.push(bytes)
  t.equal(stream.calls, 0, 'not before the turn is over')
  await turn()
  t.equal(stream.calls, 1)
  stream.go()
  t.same(
    stream.written.map((bytes) => bytes.length),
    [2, 20_000, 2],
  )
  t.ok(Buffer.concat(stream.written).equals(Buffer.concat(said)))
})

t.test(
  'memory of which a long part is on its way is not given back behind a short one',
  async (t) => {
    const stream = new HeldStream()
    const outbox = new Outbox(stream, clock)
    const sent: string[] = []
    const memory = Buffer.alloc(20_010, 'm')
    outbox.push(Buffer.from('first'), () => sent.push('first'))
    await turn()
    outbox.push(memory.subarray(0, 20_000), () => sent.push('long'))
    outbox.push(memory.subarray(20_000), () => sent.push('short'))
    await turn()
    t.same(sent, [], 'nothing is taken yet')
    stream.go()
    await turn()
    t.same(sent, ['first'])
    stream.go()
    await turn()
    t.same(sent, ['first', 'long', 'short'])
  },
)

t.test('a stream that is gone says so to each', async (t) => {
  const stream = new HeldStream().on('error', () => {})
  const outbox = new Outbox(stream, clock)
  const errors: (Error | null | undefined)[] = []
  outbox.push(Buffer.from('a'), (error) => errors.push(error))
  outbox.push(LONG, (error) => errors.push(error))
  stream.destroy()
  await turn()
  await turn()
  t.equal(errors.length, 2)
  t.ok(errors.every((error) => error instanceof Error))
})
