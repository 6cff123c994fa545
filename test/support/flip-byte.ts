// Rot, as a test makes it: one bit of a file is another one.
import { open, stat } from 'node:fs/promises'
import type { Seeded } from './seeded.ts'

/** Flips one bit of one byte anywhere in the file; nothing in an empty one. */
export async function flipByte(path: string, random: Seeded): Promise<void> {
  const { size } = await stat(path)
  if (size === 0) return
  const file = await open(path, 'r+')
  const at = random.below(size)
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte[0]! ^= 1 << random.below(8)
  await file.write(byte, 0, 1, at)
  await file.close()
}
