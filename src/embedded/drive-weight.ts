// How much of the data a drive is to have: by the size of its file system, of which drives that share it have a part each.
import { mebibytes } from '../kit/bytes.ts'
import type { World } from '../kit/world.ts'

/** GiB of the file system of each directory, divided by how many of them lie on it; at least 1. */
export async function weighDrives(
  paths: readonly string[],
  world: Pick<World, 'disk'>,
): Promise<number[]> {
  const measured = await Promise.all(paths.map((path) => measure(path, world)))
  return measured.map(({ device, bytes }) => {
    const sharers = measured.filter((other) => other.device === device).length
    return Math.max(1, Math.round(bytes / mebibytes(1024) / sharers))
  })
}

/** The drives of `paths` that lie on the same file system as `path`. */
export async function findSharers<Drive extends { path: string }>(
  path: string,
  drives: readonly Drive[],
  { disk }: Pick<World, 'disk'>,
): Promise<Drive[]> {
  const device = (await disk.stat(path))?.device
  const sharing: Drive[] = []
  for (const drive of drives) {
    const stat = await disk.stat(drive.path).catch(() => undefined) // It failed: it shares nothing any more.
    if (stat !== undefined && stat.device === device) sharing.push(drive)
  }
  return sharing
}

async function measure(
  path: string,
  { disk }: Pick<World, 'disk'>,
): Promise<{ device: number | undefined; bytes: number }> {
  const [stat, { totalBytes }] = await Promise.all([disk.stat(path), disk.space(path)])
  return { device: stat?.device, bytes: totalBytes }
}
