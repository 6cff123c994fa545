// All rows of a partition as they are at one position of its log, read a few at a time while the partition goes on.
import type { LogPosition } from '../../metadata/log/contract.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import { openStoredRow } from '../meta-rows/meta-rows.ts'
import type { Doubts } from './believe.ts'
import type { HostedPartition } from './partition.ts'

/** Rows of one moment. It is to be closed soon: LevelDB forgets nothing that it covers. */
export interface RowSnapshot {
  position: LogPosition
  /** At most `count` rows, fewer only at the end. Throws when one is damaged: then take another. */
  next(count: number): Promise<{ key: Uint8Array; value: Uint8Array }[]>
  close(): Promise<void>
}

/** Takes one of a replica whose rows can be read; each row is verified by its checksum. */
export function takeSnapshot(partition: HostedPartition, doubts: Doubts): Promise<RowSnapshot> {
  return partition.exclusive(async () => {
    const { applied, id } = partition
    const [member] = partition.readers
    if (member === undefined) throw new MetadataUnavailable(`no replica of partition ${id} is here`)
    const cursor = member.host.rows.cursor(id, { from: new Uint8Array() })
    return {
      position: applied,
      next: async (count) => {
        const rows = await cursor.next(count)
        return rows.map((row) => {
          const value = openStoredRow(id, row)
          if (value !== undefined) return { key: row.key, value }
          const cause = new Error('a row is rotten')
          doubts.onBadRows(member, cause)
          throw cause
        })
      },
      close: () => cursor.close(),
    }
  })
}
