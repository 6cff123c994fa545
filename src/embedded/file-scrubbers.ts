// Every kind of file on a drive that is no shard, and who looks at it when a scrub is made.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { FileCoordinator } from '../placement/coordinator-file.ts'
import type { MetadataDumps } from '../storage-node/dump/metadata-dumps.ts'
import type { MetadataHost } from '../storage-node/metadata-host/metadata-host.ts'
import { scrubCredentials } from '../storage-node/root-credentials.ts'
import type { StateCopies } from '../storage-node/state-copy.ts'
import { FileScrub, type FileScrubber, type FilesLook } from '../storage-node/upkeep/file-scrub.ts'
import type { LiveDrives } from './live-drives.ts'

/** What has files. */
export interface FileOwners {
  world: World
  log: Log
  host: Pick<MetadataHost, 'inspect' | 'scrubLogs' | 'damageCount'>
  coordinator: Pick<FileCoordinator, 'scrub'>
  copies: Pick<StateCopies, 'scrub'>
  dumps: Pick<MetadataDumps, 'scrub'>
  drives: Pick<LiveDrives, 'list' | 'shardStores'>
  /** `keptIn` is set when they lie on the drives. */
  credentials: { accessKeyId: string; secretAccessKey: string; keptIn?: string }
}

/** The scrub of all of them. Metadata comes first: all else is less than an acknowledged row. */
export function openFileScrub(owners: FileOwners): FileScrub {
  const { log, host, coordinator, credentials } = owners
  const scrubbers: FileScrubber[] = [
    { what: 'rows of metadata', look: (pace) => host.inspect(pace) },
    { what: 'logs of metadata', look: (pace) => host.scrubLogs(pace) },
    { what: 'decisions', look: () => coordinator.scrub() },
    { what: 'copies of decisions', look: () => owners.copies.scrub() },
    { what: 'markers', look: () => lookAtMarkers(owners) },
    { what: 'dumps of metadata', look: (pace) => owners.dumps.scrub(pace) },
    { what: 'indexes of shards', look: (pace) => lookAtIndexes(owners, pace) },
  ]
  if (credentials.keptIn !== undefined)
    scrubbers.push({
      what: 'root credentials',
      look: () => scrubCredentials(owners.drives.list(), credentials, owners),
    })
  return new FileScrub(scrubbers, { log, damageElsewhere: () => host.damageCount })
}

/** Of each drive: who it is. */
export async function lookAtMarkers({ drives }: Pick<FileOwners, 'drives'>): Promise<FilesLook> {
  const look = { files: 0, damaged: 0 }
  for (const drive of drives.list()) {
    if (drive.failure !== undefined) continue
    look.files += 1
    if (await drive.mendMarker()) look.damaged += 1
  }
  return look
}

/** Which shards a drive has, and where. */
export async function lookAtIndexes(
  { drives }: Pick<FileOwners, 'drives'>,
  pace: () => Promise<void>,
): Promise<FilesLook> {
  const look = { files: 0, damaged: 0 }
  for (const store of drives.shardStores()) {
    const { files, damaged } = await store.scrubIndex(pace)
    look.files += files
    look.damaged += damaged
  }
  return look
}
