// Log records in bytes and back, and found again behind damage.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/digest.ts'
import { encodeBatch } from '../../../../src/metadata/log/entry.ts'
import { decodeRecord, encodeRecord } from '../../../../src/storage-node/metalog/record.ts'
import {
  logFileName,
  parseLogFileName,
  scanFile,
} from '../../../../src/storage-node/metalog/scan-file.ts'

await prepareDigests()

const record = {
  partition: 3,
  incarnation: '0123456789abcdef',
  epoch: 5,
  sequence: 42,
  prevEpoch: 4,
  committed: 40,
}
const batch = encodeBatch([{ key: Buffer.from('key'), value: Buffer.from('value') }])

t.test('a record comes back as it was', async () => {
  const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
  const numbers = { epoch: number, sequence: number, prevEpoch: number, committed: number }
  const any = fc.record({ ...numbers, partition: fc.integer({ min: 0, max: 0xffff }) })
  fc.assert(
    fc.property(
      any,
      fc.uint8Array({ maxLength: 300 }),
      fc.bigInt(0n, 2n ** 64n - 1n),
      (head, body, salt) => {
        const written = { ...head, incarnation: 'fedcba9876543210' }
        const bytes = encodeRecord(written, body, salt)
        const found = decodeRecord(bytes, 0, salt)
        return (
          bytes.length % 64 === 0 &&
          found.kind === 'record' &&
          found.bytes === bytes.length &&
          JSON.stringify(found.record, Object.keys(written).sort()) ===
            JSON.stringify(written, Object.keys(written).sort()) &&
          Buffer.from(found.batch).equals(body)
        )
      },
    ),
    { seed: 2 },
  )
})

t.test('the golden record is still read and still written', async (t) => {
  const path = join(process.cwd(), 'test/golden/metadata-log-1.json')
  const golden = JSON.parse(readFileSync(path, 'utf8')) as { salt: string; record: string }
  const bytes = encodeRecord(record, batch, BigInt(golden.salt))
  t.equal(bytes.toString('hex'), golden.record)
  t.match(decodeRecord(Buffer.from(golden.record, 'hex'), 0, BigInt(golden.salt)), {
    kind: 'record',
    record,
  })
})

t.test('every flipped bit is noticed', async (t) => {
  const bytes = encodeRecord(record, batch, 7n)
  const used = 64 + batch.length
  let missed = 0
  for (let bit = 0; bit < used * 8; bit += 1) {
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    if (decodeRecord(bytes, 0, 7n).kind === 'record') missed += 1
    bytes[bit >> 3]! ^= 1 << (bit & 7)
  }
  t.equal(missed, 0)
  t.equal(decodeRecord(bytes, 0, 8n).kind, 'rotten', 'a record of another file is none')
  t.equal(decodeRecord(Buffer.alloc(128), 0, 7n).kind, 'nothing')
})

t.test('a scan steps over what is damaged and finds what follows', async (t) => {
  const records = [1, 2, 3, 4].map((sequence) => encodeRecord({ ...record, sequence }, batch, 9n))
  const file = Buffer.concat([...records, Buffer.alloc(640)])
  t.same(
    scanFile(file, 9n).places.map(({ record: found }) => found.sequence),
    [1, 2, 3, 4],
  )
  t.equal(scanFile(file, 9n).rotten, 0)
  file[records[0]!.length + 70]! ^= 1
  const scan = scanFile(file, 9n)
  t.same(
    scan.places.map(({ record: found }) => found.sequence),
    [1, 3, 4],
  )
  t.ok(scan.rotten > 0)
  const cut = scanFile(file.subarray(0, file.length - 640 - 64), 9n)
  t.same(
    cut.places.map(({ record: found }) => found.sequence),
    [1, 3],
  )
})

t.test('names of files', async (t) => {
  const name = logFileName(12, 0xabcn)
  t.equal(name, '00000012.0000000000000abc.log')
  t.same(parseLogFileName(name), { number: 12, salt: 0xabcn })
  t.equal(parseLogFileName('00000012.log'), undefined)
})
