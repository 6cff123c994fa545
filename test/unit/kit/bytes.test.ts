// Bytes seen as a Buffer.
import t from 'tap'
import { asBuffer } from '../../../src/kit/bytes.ts'

t.test('bytes are the same memory as a Buffer, and a Buffer is itself', async (t) => {
  const bytes = Uint8Array.of(1, 2, 3, 4).subarray(1, 3)
  const buffer = asBuffer(bytes)
  t.equal(buffer.toString('hex'), '0203')
  bytes[0] = 9
  t.equal(buffer[0], 9)
  t.equal(asBuffer(buffer), buffer)
})
