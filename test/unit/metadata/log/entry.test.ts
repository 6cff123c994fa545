// Batches in bytes and back.
import fc from 'fast-check'
import t from 'tap'
import type { RowBatch } from '../../../../src/metadata/log/contract.ts'
import { decodeBatch, encodeBatch, follows } from '../../../../src/metadata/log/entry.ts'

const bytes = fc.uint8Array({ maxLength: 64 })
const change = fc.record({ key: bytes, value: fc.option(bytes, { nil: undefined }) })

t.test('a batch comes back as it was', async () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (batch) => {
      const back = decodeBatch(encodeBatch(batch as RowBatch))
      return (
        back.length === batch.length &&
        back.every(({ key, value }, index) => {
          const wanted = batch[index]!
          const sameKey = Buffer.from(key).equals(wanted.key)
          if (value === undefined || wanted.value === undefined) {
            return sameKey && value === wanted.value
          }
          return sameKey && Buffer.from(value).equals(wanted.value)
        })
      )
    }),
    { seed: 1 },
  )
})

t.test('the bytes of a batch', async (t) => {
  const batch: RowBatch = [
    { key: Buffer.from('k'), value: Buffer.from('value') },
    { key: Buffer.from('gone'), value: undefined },
    { key: Buffer.from('e'), value: new Uint8Array() },
  ]
  const wanted =
    '03000000' +
    '0100000005000000' +
    '6b76616c7565' +
    '04000000ffffffff' +
    '676f6e65' +
    '0100000000000000' +
    '65'
  t.equal(Buffer.from(encodeBatch(batch)).toString('hex'), wanted)
})

t.test('bytes that are no batch are our own mistake', async (t) => {
  t.throws(() => decodeBatch(Buffer.concat([encodeBatch([]), Buffer.alloc(1)])))
})

t.test('what follows what', async (t) => {
  const entry = { epoch: 3, sequence: 8, prevEpoch: 2, committed: 6 }
  t.ok(follows(entry, { epoch: 2, sequence: 7 }))
  t.notOk(follows(entry, { epoch: 3, sequence: 7 }))
  t.notOk(follows(entry, { epoch: 2, sequence: 6 }))
})
