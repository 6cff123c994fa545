// The segment writer of one drive alone: shards of 4 KiB from 32 writers at once, each durable and in the index when it is done.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kibibytes } from '../src/kit/bytes.ts'
import { silentLog } from '../src/kit/log.ts'
import { realWorld } from '../src/kit/world.ts'
import { Drive } from '../src/storage-node/drive.ts'
import { DRIVE_FORMAT, formatDrive } from '../src/storage-node/drive-format.ts'
import { ShardStore } from '../src/storage-node/shard-store.ts'
import { putShard, sampleShard } from '../test/contracts/shard-samples.ts'
import { Seeded } from '../test/support/seeded.ts'
import { printLine, round } from './measure.ts'

/** One line of the result. */
export interface SegmentRow {
  operation: string
  perSecond: number
  /** Of this process, which is the writer and who asks. */
  cpuMsPerShard: number
}

const WRITERS = 32
const SHARD_BYTES = kibibytes(4)
const MARKER = { format: DRIVE_FORMAT, clusterId: 'bench', driveId: 1, uuid: 'bench', createdMs: 1 }

/** Measures for so long, after one second to warm up. */
export async function benchSegment(seconds = 5): Promise<SegmentRow[]> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-bench-'))
  const world = realWorld()
  await formatDrive(world, directory, MARKER)
  const drive = await Drive.open(world, directory, MARKER)
  const store = await ShardStore.open(drive, { world, log: silentLog })
  try {
    await writeFor(store, 1)
    const before = process.cpuUsage()
    const { shards, seconds: took } = await writeFor(store, seconds)
    const { user, system } = process.cpuUsage(before)
    const row = {
      operation: 'write shards of 4 KiB to one drive',
      perSecond: Math.round(shards / took),
      cpuMsPerShard: round((user + system) / 1000 / shards),
    }
    printLine(`segment: ${row.perSecond} shards/s, ${row.cpuMsPerShard} s of CPU per 1,000`)
    return [row]
  } finally {
    await store.close()
    await drive.close()
    await rm(directory, { recursive: true })
  }
}

async function writeFor(
  store: ShardStore,
  seconds: number,
): Promise<{ shards: number; seconds: number }> {
  const seeded = new Seeded(process.hrtime()[1])
  const started = performance.now()
  const untilMs = started + seconds * 1000
  let shards = 0
  const work = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      await putShard(store, sampleShard(seeded, SHARD_BYTES))
      shards += 1
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, work))
  return { shards, seconds: (performance.now() - started) / 1000 }
}
