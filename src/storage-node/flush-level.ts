// Makes what a LevelDB has in memory durable, by a compaction: LevelDB has no other call for it.
import type { BytesLevel } from './drive-lock.ts'

// Above every key that is in use: compacting it writes what is in memory and nothing else.
const UNUSED_RANGE = [Buffer.from('fffffffe', 'hex'), Buffer.from('ffffffff', 'hex')] as const

/** Writes everything in memory into synced tables. A memory-level has none, and nothing is done. Throws what LevelDB throws. */
export async function flushLevel(level: BytesLevel): Promise<void> {
  const { compactRange } = level as {
    compactRange?: (from: Uint8Array, to: Uint8Array) => Promise<void>
  }
  await compactRange?.call(level, ...UNUSED_RANGE)
}
