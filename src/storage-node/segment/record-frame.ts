// Reads what stands around the cells of a record, its header and its tail, and checks both.
import type { ShardDescribed } from '../contract.ts'
import type { CellSource } from './cell-reads.ts'
import { findTailDamage, parseHeader, type RecordPlace } from './record-format.ts'

/** Header and tail of the record of `source`, which lies at `place`; 'gone' when its file is not there. */
export async function readFrame(
  { id, layout, offset, read }: CellSource,
  { secret, place }: { secret: bigint; place: RecordPlace },
): Promise<ShardDescribed | 'gone'> {
  const header = Buffer.allocUnsafe(layout.headerBytes)
  const tail = Buffer.allocUnsafe(layout.recordBytes - layout.tailOffset)
  const headerRead = await read(header, offset)
  const tailRead = await read(tail, offset + layout.tailOffset)
  if (headerRead === 'gone' || tailRead === 'gone') return 'gone'
  if (headerRead === 'medium-error' || tailRead === 'medium-error')
    return { kind: 'corrupt', detail: 'the drive can not read its header or tail' }
  const parsed = parseHeader(header.subarray(0, headerRead), secret, place)
  if (parsed.kind !== 'header') return { kind: 'corrupt', detail: 'the header is damaged' }
  const { description } = parsed.header
  const { uid, part, slot } = description.id
  if (uid !== id.uid || part !== id.part || slot !== id.slot)
    return { kind: 'corrupt', detail: 'the header is that of another shard' }
  const damage = findTailDamage(tail.subarray(0, tailRead), id, layout)
  return damage === undefined ? { kind: 'found', description } : { kind: 'corrupt', detail: damage }
}
