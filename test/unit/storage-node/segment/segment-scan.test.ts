// Scanning a segment: all records in order, and past any damage the next whole one.
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { RecordBuffer } from '../../../../src/storage-node/segment/record-buffer.ts'
import { recordSecret, stampHeader } from '../../../../src/storage-node/segment/record-format.ts'
import { scanRecords } from '../../../../src/storage-node/segment/segment-scan.ts'
import { cellsOf, sampleShard } from '../../../contracts/shard-samples.ts'
import { Seeded } from '../../../support/seeded.ts'

await prepareDigests()
const secret = recordSecret('test')

/** A segment of records of such sizes. An object may hold a copy of the records so far: bytes that look like a segment. */
function buildSegment(
  seeded: Seeded,
  sizes: readonly number[],
): { bytes: Buffer; uids: string[]; offsets: number[] } {
  let bytes = Buffer.alloc(0)
  const uids: string[] = []
  const offsets: number[] = []
  for (const size of sizes) {
    const shard = sampleShard(seeded, size, 1000)
    const copied = bytes.subarray(0, size)
    shard.bytes.set(copied)
    const record = new RecordBuffer(shard.description)
    for (const cell of cellsOf(shard)) record.add(cell)
    record.seal()
    const place = { segment: 1, offset: bytes.length }
    stampHeader(record.bytes, { secret, place, groupOffset: bytes.length })
    offsets.push(bytes.length)
    bytes = Buffer.concat([bytes, record.bytes])
    uids.push(shard.description.id.uid)
  }
  return { bytes, uids, offsets }
}

async function scan(bytes: Buffer): Promise<string[]> {
  const found: string[] = []
  const source = {
    segment: 1,
    bytes: bytes.length,
    read: async (target: Uint8Array, position: number) =>
      bytes.copy(target, 0, position, position + target.length),
  }
  for await (const { description } of scanRecords(source, secret)) found.push(description.id.uid)
  return found
}

const SIZES = [100, 0, 3000, 70_000, 1, 64_000, 200_000, 50]

t.test('all records, however they lie in the window', async (t) => {
  const { bytes, uids } = buildSegment(new Seeded(1), SIZES)
  t.same(await scan(bytes), uids)
  t.same(await scan(Buffer.concat([bytes, Buffer.alloc(100_000)])), uids, 'zeros at the end')
  t.same(await scan(Buffer.alloc(0)), [])
  t.same(await scan(new Seeded(4).bytes(200_000)), [])
})

t.test('one damaged header hides one record', async (t) => {
  const { bytes, uids, offsets } = buildSegment(new Seeded(2), SIZES)
  for (const [at, offset] of offsets.entries()) {
    for (const byte of [0, 8, 12, 30, 50]) {
      const damaged = Buffer.from(bytes)
      damaged[offset + byte]! ^= 0x40
      t.same(await scan(damaged), uids.toSpliced(at, 1), `record ${at}, byte ${byte}`)
    }
  }
})

t.test('bytes lost in the middle', async (t) => {
  const { bytes, uids, offsets } = buildSegment(new Seeded(3), SIZES)
  const damaged = Buffer.from(bytes)
  damaged.fill(0, offsets[2]! + 10, offsets[5]! + 10)
  t.same(await scan(damaged), uids.toSpliced(2, 4))
})

t.test('a cut segment', async (t) => {
  const { bytes, uids, offsets } = buildSegment(new Seeded(5), [500, 500, 500])
  for (let cut = 0; cut < bytes.length; cut += 37) {
    const whole = offsets.filter(
      (offset, at) => (offsets[at + 1] ?? bytes.length) <= cut && offset < cut,
    )
    t.same(await scan(bytes.subarray(0, cut)), uids.slice(0, whole.length))
  }
})
