// Frames come back as they were, however they are cut; nothing that was changed is given to anybody.
import fc from 'fast-check'
import t from 'tap'
import { giveBack } from '../../../../src/kit/lent-bytes.ts'
import {
  type Frame,
  FrameKind,
  FrameReader,
  FrameWriter,
  readFrames,
} from '../../../../src/storage-node/rpc/frames.ts'
import { BrokenFrames } from '../../../../src/storage-node/rpc/trouble.ts'

const KEY = Buffer.alloc(32, 1)
const PAYLOAD_MAX = 5000

const frame = fc.record({
  kind: fc.integer({ min: 1, max: 200 }),
  payload: fc.uint8Array({ maxLength: 300 }),
})
const frames = fc.array(frame, { maxLength: 8 })

function write(list: readonly { kind: number; payload: Uint8Array }[]): Buffer[] {
  const writer = new FrameWriter(KEY)
  return [
    ...list.map(({ kind, payload }) => writer.frame(kind, payload)),
    writer.frame(FrameKind.End),
  ]
}

async function* cut(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (const length of lengths) {
    yield Uint8Array.from(bytes.subarray(at, at + length))
    at += length
  }
  yield Uint8Array.from(bytes.subarray(at))
}

/** What comes out, and the error at its end. */
async function read(
  bytes: Uint8Array,
  lengths: readonly number[] = [],
): Promise<{ read: Frame[]; error: unknown }> {
  const read: Frame[] = []
  try {
    const reader = new FrameReader(KEY, PAYLOAD_MAX)
    for await (const { kind, payload, done } of readFrames(cut(bytes, lengths), reader)) {
      read.push({ kind, payload: Buffer.from(payload) })
      done()
    }
    return { read, error: undefined }
  } catch (error) {
    return { read, error }
  }
}

function isSame(read: readonly Frame[], wanted: readonly { kind: number; payload: Uint8Array }[]) {
  return read.every(
    ({ kind, payload }, at) => kind === wanted[at]?.kind && payload.equals(wanted[at].payload),
  )
}

t.test('frames come back, however the way cuts them', async () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(frames, lengths, async (list, cuts) => {
      const back = await read(Buffer.concat(write(list)), cuts)
      return back.error === undefined && back.read.length === list.length && isSame(back.read, list)
    }),
    { seed: 1 },
  )
})

t.test('a changed bit ends it: what came before is right, nothing after it is read', async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.nat(), fc.integer({ min: 0, max: 7 }), async (list, at, bit) => {
      const bytes = Buffer.concat(write(list))
      bytes[at % bytes.length]! ^= 1 << bit
      const back = await read(bytes)
      return back.error instanceof BrokenFrames && isSame(back.read, list)
    }),
    { seed: 2 },
  )
})

t.test('long frames, for which memory is lent', async () => {
  const long = fc.record({
    kind: fc.integer({ min: 1, max: 200 }),
    bytes: fc.constantFrom(1, 65_511, 65_512, 131_080, 132_072, 132_073, 200_000),
    isKept: fc.boolean(),
  })
  const lists = fc.array(long, { minLength: 1, maxLength: 8 })
  const lengths = fc.array(fc.constantFrom(0, 5, 8, 4_000, 65_536, 131_104), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(lists, lengths, async (list, cuts) => {
      const wanted = list.map((one, at) => ({ ...one, payload: Buffer.alloc(one.bytes, at + 1) }))
      const reader = new FrameReader(KEY, 300_000)
      const kept: Buffer[] = []
      let at = 0
      for await (const frame of readFrames(cut(Buffer.concat(write(wanted)), cuts), reader)) {
        const { kind, payload, isKept } = wanted[at]!
        at += 1
        if (frame.kind !== kind || !frame.payload.equals(payload)) return false
        if (isKept) kept.push(frame.payload)
        else giveBack(frame.payload)
        frame.done()
      }
      const stay = wanted.filter(({ isKept }) => isKept)
      // What was not given back is nobody else's.
      return at === list.length && kept.every((bytes, at) => bytes.equals(stay[at]!.payload))
    }),
    { seed: 3, numRuns: 40 },
  )
})

t.test('a long frame that was changed, or does not come to its end', async (t) => {
  const list = [1, 2].map((kind) => ({ kind, payload: Buffer.alloc(131_072, kind) }))
  const whole = Buffer.concat(write(list))
  const reading = async (bytes: Buffer): Promise<number> => {
    const kinds: number[] = []
    const reader = new FrameReader(KEY, 300_000)
    const frames = readFrames(cut(bytes, [65_536, 65_536, 65_536]), reader)
    await t.rejects(
      async () => {
        for await (const { kind } of frames) kinds.push(kind)
      },
      { code: 'BROKEN_FRAMES' },
    )
    return kinds.length
  }
  const changed = Buffer.from(whole)
  changed[140_000]! ^= 1
  t.equal(await reading(changed), 1)
  t.equal(await reading(whole.subarray(0, 140_000)), 1)
  t.equal(await reading(whole.subarray(0, 100_000)), 0)
})

t.test('frames that are left out, repeated, exchanged or cut off', async (t) => {
  const list = [1, 2, 3].map((kind) => ({ kind, payload: Buffer.alloc(10, kind) }))
  const [one, two, three, end] = write(list) as [Buffer, Buffer, Buffer, Buffer]
  const wrong = {
    'left out': [one, three, end],
    repeated: [one, one, two, three, end],
    exchanged: [two, one, three, end],
    'without an end': [one, two, three],
    'cut off': [one, two, three, end.subarray(0, end.length - 1)],
    'with something behind': [one, two, three, end, Buffer.alloc(1)],
    nothing: [],
  }
  for (const [name, parts] of Object.entries(wrong)) {
    const { error } = await read(Buffer.concat(parts))
    t.ok(error instanceof BrokenFrames, name)
  }
  t.equal((await read(Buffer.concat([one, two, three, end]))).error, undefined)
})

t.test('frames of another key, and of the other direction', async (t) => {
  const other = new FrameWriter(Buffer.alloc(32, 2))
  const { read: frames, error } = await read(other.frame(FrameKind.Message))
  t.ok(error instanceof BrokenFrames)
  t.same(frames, [])
})

t.test('a frame that says that it is too long is not waited for', async (t) => {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(PAYLOAD_MAX + 1, 0)
  const reader = new FrameReader(KEY, PAYLOAD_MAX)
  reader.push(head)
  t.throws(() => reader.next(), { code: 'BROKEN_FRAMES' })
})

t.test('no more is read than there is room for', async (t) => {
  const bytes = Buffer.concat(write([1, 2].map((kind) => ({ kind, payload: Buffer.alloc(9) }))))
  const asked: number[] = []
  let free = 1
  let onFree = (): void => {}
  const room = {
    acquire: async (payloadBytes: number) => {
      asked.push(payloadBytes)
      while (free === 0) await new Promise<void>((resolve) => (onFree = resolve))
      free -= 1
      return () => {
        free += 1
        onFree()
      }
    },
  }
  const reading = readFrames(cut(bytes, []), new FrameReader(KEY, PAYLOAD_MAX), room)
  const first = await reading.next()
  const second = reading.next()
  t.equal(free, 0, 'the first one still has the room')
  first.value?.done()
  const { value } = await second
  t.equal(value?.kind, 2)
  value?.done()
  t.equal((await reading.next()).done, true)
  t.equal(free, 1, 'all of it was given back')
  t.same(asked, [9, 9, 0])
})

t.test('room is given back when the way breaks in the middle of a frame', async (t) => {
  const [bytes] = write([{ kind: 1, payload: Buffer.alloc(100) }])
  let held = 0
  const room = {
    acquire: async () => {
      held += 1
      return () => {
        held -= 1
      }
    },
  }
  const reader = new FrameReader(KEY, PAYLOAD_MAX)
  const reading = readFrames(cut(bytes!.subarray(0, 50), []), reader, room)
  await t.rejects(reading.next(), { code: 'BROKEN_FRAMES' })
  t.equal(held, 0)
})
