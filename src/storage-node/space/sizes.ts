// Sizes that shrink with the file system, so that a small drive is not eaten by what only serves it.
import { kibibytes, mebibytes, roundUp } from '../../kit/bytes.ts'
import type { LevelSizes } from '../drive-lock.ts'

const LARGEST = { writeBufferBytes: mebibytes(4), tableBytes: mebibytes(8) } as const
const SMALLEST = { writeBufferBytes: kibibytes(256), tableBytes: mebibytes(1) } as const

/** Of a LevelDB: usual from 1 GiB on. A file system that does not tell how long it is counts as long. */
export function levelSizesOn(totalBytes: number, cacheBytes: number): LevelSizes {
  if (totalBytes === 0) return { ...LARGEST, cacheBytes }
  const share = (divisor: number): number => roundUp(Math.floor(totalBytes / divisor), 4096)
  const { writeBufferBytes, tableBytes } = SMALLEST
  return {
    writeBufferBytes: Math.min(LARGEST.writeBufferBytes, Math.max(writeBufferBytes, share(256))),
    tableBytes: Math.min(LARGEST.tableBytes, Math.max(tableBytes, share(128))),
    cacheBytes,
  }
}

/** Bytes of the metadata log that stay though nobody needs them: a 32nd of a small file system. */
export function retainedLogBytesOn(totalBytes: number, wanted: number): number {
  return totalBytes === 0 ? wanted : Math.min(wanted, Math.floor(totalBytes / 32))
}

// What a compaction of LevelDB may have to write before it can remove anything: 25 tables at most.
const COMPACTION_TABLES = 25

/** What LevelDBs that hold `levelBytes` on such a file system need free to go on: half of them, within its bounds. */
export function neededByLevels(levelBytes: number, totalBytes: number): number {
  const { tableBytes, writeBufferBytes } = levelSizesOn(totalBytes, 0)
  const most = COMPACTION_TABLES * (tableBytes ?? 0)
  return Math.min(most, levelBytes / 2) + 4 * writeBufferBytes
}
