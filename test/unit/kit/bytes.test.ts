// Bytes seen as a Buffer, and copied to memory that threads share.
import t from 'tap'
import { asBuffer, copyToShared } from '../../../src/kit/bytes.ts'

t.test('bytes are the same memory as a Buffer, and a Buffer is itself', async (t) => {
  const bytes = Uint8Array.of(1, 2, 3, 4).subarray(1, 3)
  const buffer = asBuffer(bytes)
  t.equal(buffer.toString('hex'), '0203')
  bytes[0] = 9
  t.equal(buffer[0], 9)
  t.equal(asBuffer(buffer), buffer)
})

t.test(
  'bytes are copied to shared memory wherever they lie, and nothing beside them is',
  async (t) => {
    const source = Uint8Array.from({ length: 300 }, (_, index) => index % 251)
    for (const [from, bytes, at] of [
      [0, 300, 0],
      [1, 97, 16],
      [3, 200, 5],
      [7, 0, 9],
      [0, 64, 448],
    ] as const) {
      const target = new Uint8Array(new SharedArrayBuffer(512)).fill(255)
      const wanted = Buffer.alloc(512, 255)
      wanted.set(source.subarray(from, from + bytes), at)
      copyToShared(source.subarray(from, from + bytes), target, at)
      t.ok(wanted.equals(target), `${bytes} bytes from ${from} to ${at}`)
    }
    const room = new Uint8Array(new SharedArrayBuffer(8))
    t.throws(() => copyToShared(source.subarray(0, 4), room, 5), 'they must have room')
  },
)
