// Bodies in chunks, cut wherever the network may cut them.
import t from 'tap'
import { ChunkedBody } from '../../../../src/gateway/http1/chunked-body.ts'

function decode(parts: readonly Uint8Array[]): { data: string; left: string; isDone: boolean } {
  const body = new ChunkedBody()
  let data = ''
  let left = ''
  for (const part of parts) {
    const target = Buffer.alloc(part.length)
    const { at, dataBytes } = body.decode(part, 0, part.length, target)
    data += target.toString('latin1', 0, dataBytes)
    left += Buffer.from(part.subarray(at)).toString('latin1')
  }
  return { data, left, isDone: body.isDone }
}

const WIRE = Buffer.from(
  '5;x=y\r\nhello\r\n0B\r\n, beautiful\r\n1\r\n!\r\n000\r\nx-a: b\r\ny:\r\n\r\nGET',
)

t.test('at every two places', async (t) => {
  const wanted = { data: 'hello, beautiful!', left: 'GET', isDone: true }
  let count = 0
  for (let first = 0; first <= WIRE.length; first += 1) {
    for (let second = first; second <= WIRE.length; second += 1) {
      const parts = [WIRE.subarray(0, first), WIRE.subarray(first, second), WIRE.subarray(second)]
      const actual = decode(parts)
      if (JSON.stringify(actual) !== JSON.stringify(wanted))
        t.same(actual, wanted, `${first}, ${second}`)
      count += 1
    }
  }
  t.equal(count, ((WIRE.length + 1) * (WIRE.length + 2)) / 2)
})

t.test('byte by byte', async (t) => {
  const parts = [...WIRE].map((byte) => Buffer.from([byte]))
  t.same(decode(parts), { data: 'hello, beautiful!', left: 'GET', isDone: true })
})

t.test('cut short it is not done', async (t) => {
  const whole = WIRE.length - 3
  for (let length = 0; length < whole; length += 1)
    t.notOk(decode([WIRE.subarray(0, length)]).isDone, String(length))
})
