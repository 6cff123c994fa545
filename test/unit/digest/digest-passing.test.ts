// Digests of bytes that pass are those of the bytes at once, and the bytes are passed on as they came.
import t from 'tap'
import { digestOf, prepareDigests } from '../../../src/digest/digest.ts'
import { digestPassing } from '../../../src/digest/digest-passing.ts'

t.before(prepareDigests)

const BYTES = Buffer.from('The art of mending broken pottery with gold')

async function* inPieces(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < BYTES.length; at += 7) yield BYTES.subarray(at, at + 7)
}

t.test('every digest sees every byte, MD5 once also where it is asked for twice', async (t) => {
  for (const algorithm of ['CRC64NVME', 'SHA256', 'MD5'] as const) {
    const { chunks, finish } = digestPassing(inPieces(), algorithm, BYTES.length)
    const passed: Uint8Array[] = []
    for await (const chunk of chunks) passed.push(chunk)
    t.ok(Buffer.concat(passed).equals(BYTES))
    t.same(finish(), {
      md5: Buffer.from(digestOf('MD5', BYTES)).toString('hex'),
      checksum: {
        algorithm,
        type: 'FULL_OBJECT',
        value: Buffer.from(digestOf(algorithm, BYTES)).toString('base64'),
      },
    })
  }
})
