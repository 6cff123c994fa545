// Rot: bits of what lies on a drive are others than were written, and nobody is told.
import type { Seeded } from '../support/seeded.ts'
import type { SimDrive } from './sim-drive.ts'

/** Bits of bytes in one kind of files. */
export function flipIn(drive: SimDrive, random: Seeded): void {
  const kind = random.pick(['seg', 'seg', 'big', 'metalog', 'coordinator'])
  const files = drive.disk
    .files(drive.path)
    .filter((path) => path.includes(`/${kind}/`) && drive.disk.bytesOf(path).length > 0)
  if (files.length === 0) return
  for (let count = 1 + random.below(random.pick([5, 50])); count > 0; count -= 1) {
    const path = random.pick(files)
    drive.disk.flip(path, random.below(drive.disk.bytesOf(path).length), 1 << random.below(8))
  }
}

/** A bit of each of the `most` things of one kind that were written last, until `untilMs`. */
export function flipInWritten(
  drive: SimDrive,
  {
    kind,
    most,
    random,
    untilMs = Number.POSITIVE_INFINITY,
  }: { kind: string; most: number; random: Seeded; untilMs?: number },
): void {
  const written = drive.written.filter(
    ({ path, bytes, atMs }) => path.includes(kind) && bytes > 0 && atMs <= untilMs,
  )
  for (const { path, position, bytes } of written.slice(-most)) {
    if (drive.disk.inodeOf(path) === undefined) continue
    const at = position + random.below(bytes)
    if (at < drive.disk.bytesOf(path).length) drive.disk.flip(path, at, 1 << random.below(8))
  }
}
