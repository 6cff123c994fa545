// Files of a node that are no shards, and who looks at them when it scrubs. Rows of metadata are compared by whoever leads
// their partition; logs, markers and indexes each node reads for itself.
import { lookAtIndexes, lookAtMarkers } from '../embedded/file-scrubbers.ts'
import type { LiveDrives } from '../embedded/live-drives.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { MetaPartitionId } from '../metadata/contract.ts'
import type { MetadataDumps } from '../storage-node/dump/metadata-dumps.ts'
import {
  type CompareParts,
  compareReplicas,
  type RowsTransport,
} from '../storage-node/replicated/compare-replicas.ts'
import type { ReplicaHost } from '../storage-node/replicated/replica-host.ts'
import { FileScrub, type FilesLook } from '../storage-node/upkeep/file-scrub.ts'

/** What has files. */
export interface NodeFileParts {
  world: World
  log: Log
  host: CompareParts['host'] & Pick<ReplicaHost, 'scrubLogs' | 'damageCount'>
  decisions: CompareParts['decisions']
  transport: RowsTransport
  drives: Pick<LiveDrives, 'list' | 'shardStores'>
  /** Absent where none are taken. */
  dumps?: Pick<MetadataDumps, 'scrub'> | undefined
  /** Ids of all partitions. */
  partitions: () => readonly MetaPartitionId[]
}

/** The scrub of all of them; end() breaks off what waits for others. */
export interface NodeFiles {
  scrub: FileScrub
  end(): void
}

/** Metadata comes first: all else is less than an acknowledged row. */
export function openNodeFiles(parts: NodeFileParts): NodeFiles {
  const { log, host, dumps } = parts
  const ending = new AbortController()
  const scrubbers = [
    {
      what: 'replicas of metadata',
      look: (pace: () => Promise<void>) => lookAtReplicas(parts, ending.signal, pace),
    },
    { what: 'logs of metadata', look: (pace: () => Promise<void>) => host.scrubLogs(pace) },
    { what: 'markers', look: () => lookAtMarkers(parts) },
    ...(dumps
      ? [{ what: 'dumps of metadata', look: (pace: () => Promise<void>) => dumps.scrub(pace) }]
      : []),
    {
      what: 'indexes of shards',
      look: (pace: () => Promise<void>) => lookAtIndexes(parts, pace),
    },
  ]
  return {
    scrub: new FileScrub(scrubbers, { log, damageElsewhere: () => host.damageCount }),
    end: () => ending.abort(new Error('the node is closing')),
  }
}

/** All that are led here. One that can not be compared now keeps the others from nothing, and is heard of at the end. */
async function lookAtReplicas(
  parts: NodeFileParts,
  signal: AbortSignal,
  pace: () => Promise<void>,
): Promise<FilesLook> {
  const look = { files: 0, damaged: 0 }
  const failed: unknown[] = []
  for (const partition of parts.partitions()) {
    await pace()
    signal.throwIfAborted()
    try {
      const compared = await compareReplicas(partition, signal, parts)
      look.files += compared?.replicas ?? 0
      look.damaged += compared?.damaged ?? 0
    } catch (error) {
      failed.push(error)
    }
  }
  if (failed.length > 0) throw failed[0]
  return look
}
