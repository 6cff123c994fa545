// What `kintsugi recover` begins with: the newest dump of a partition, and what logs have behind it.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Row } from '../metadata/commands/decision.ts'
import type { LogPosition, RowBatch } from '../metadata/log/contract.ts'
import { RowTable } from '../metadata/rebuild/row-table.ts'
import { DumpDamaged, type FoundDump, readDump } from '../storage-node/dump/dump-files.ts'
import { placeDumps } from '../storage-node/dump/dump-order.ts'
import type { MetadataHost } from '../storage-node/metadata-host/metadata-host.ts'

/** Rows as of the dump and of `replayed` entries of logs behind it. */
export interface NewestDump {
  takenMs: number
  rows: Row[]
  replayed: number
}

/** The rows of the newest dump that can be read to its end, and of what logs have behind it. */
export async function readNewest(
  dumps: readonly FoundDump[],
  partition: number,
  { world, log, host }: { world: World; log: Log; host: Pick<MetadataHost, 'readOn'> },
): Promise<NewestDump | undefined> {
  const ofPartition = dumps.filter((dump) => dump.partition === partition)
  for (const dump of await placeDumps(ofPartition, world)) {
    try {
      const { rows, position } = await readRows(dump, world)
      const replayed = position ? await replayLogs(rows, host.readOn(partition, position)) : 0
      return { takenMs: dump.takenMs, rows: [...rows], replayed }
    } catch (error) {
      if (!(error instanceof DumpDamaged)) throw error
      log.warn({ partition, takenMs: dump.takenMs }, 'a dump is damaged: an older one is taken')
    }
  }
  return undefined
}

async function readRows(
  dump: FoundDump,
  world: World,
): Promise<{ rows: RowTable; position: LogPosition | undefined }> {
  const rows = new RowTable()
  let position: LogPosition | undefined
  for await (const chunk of readDump(dump, world)) {
    if (chunk.kind === 'head') position = chunk.head.position
    if (chunk.kind === 'rows') for (const { key, value } of chunk.rows) rows.put(key, value)
  }
  return { rows, position }
}

/** How many entries there were. */
async function replayLogs(rows: RowTable, batches: AsyncIterable<RowBatch>): Promise<number> {
  let replayed = 0
  for await (const batch of batches) {
    replayed += 1
    for (const { key, value } of batch) {
      if (value === undefined) rows.delete(key)
      else rows.put(key, value)
    }
  }
  return replayed
}
