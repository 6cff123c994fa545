// Versions of a few keys, changed by commands: what a key has is one line of text, so that a test can say beforehand
// what may be found after the power went off.
import type { Uid } from '../../src/kit/uid.ts'
import type { MetadataPartition } from '../../src/metadata/contract.ts'
import { openPartition } from '../../src/metadata/partition.ts'
import { type AnyVersion, isDeleteMarker } from '../../src/metadata/records.ts'
import type { MetadataHost } from '../../src/storage-node/metadata-host/metadata-host.ts'
import type { Seeded } from '../support/seeded.ts'
import { PARTITIONS, type Running } from './metadata-world.ts'

const NOW_MS = 1_763_000_000_000
const BUCKET = { id: 1, revision: 1, versioning: 'enabled' } as const

const opened = new WeakMap<MetadataHost, Map<number, Promise<MetadataPartition>>>()

/** What a change of versions makes of a key. Not done before apply() is called. */
export interface VersionChange {
  /** Names the key; readVersions() knows it. */
  name: string
  after: string
  apply(): Promise<unknown>
}

/** Some change of the versions of some key. */
export async function chooseVersionChange(
  running: Running,
  seeded: Seeded,
): Promise<VersionChange> {
  const id = seeded.below(PARTITIONS)
  const key = `v${seeded.below(2)}`
  const partition = await partitionOf(running, id)
  const versions = await listVersions(partition, key)
  const tags = versions.map(tagOf)
  const command = { bucket: BUCKET, key, commandId: newCommandId(seeded), conditions: {} }
  const name = `${id}#${key}`
  const choice = seeded.below(3)
  if (choice === 0 && versions.length > 0) {
    const at = seeded.below(versions.length)
    const { versionId } = versions[at]!
    const after = tags.toSpliced(at, 1).join(' ')
    return {
      name,
      after,
      apply: () => partition.commit({ ...command, kind: 'delete-object', versionId }),
    }
  }
  if (choice === 1) {
    const after = ['!', ...tags].join(' ')
    return { name, after, apply: () => partition.commit({ ...command, kind: 'delete-object' }) }
  }
  const etag = `e${seeded.below(1e9)}`
  const version = { headers: {}, userMetadata: {}, storageClass: 'STANDARD', bytes: 0, etag }
  const after = [etag, ...tags].join(' ')
  return { name, after, apply: () => partition.commit({ ...command, kind: 'put-object', version }) }
}

/** The versions of a key, newest first, and whether the latest is the one that is found without a name. */
export async function readVersions(running: Running, name: string): Promise<string> {
  const [id, key] = name.split('#') as [string, string]
  const partition = await partitionOf(running, Number(id))
  const versions = await listVersions(partition, key)
  const latest = await partition.getObject(BUCKET, key)
  if (latest === 'bucket-gone' || latest?.versionId !== versions[0]?.versionId) return 'no head'
  return versions.map(tagOf).join(' ')
}

async function listVersions(partition: MetadataPartition, key: string): Promise<AnyVersion[]> {
  const page = await partition.scanVersions({
    bucket: BUCKET,
    prefix: key,
    after: '',
    afterPrefix: false,
    afterVersionId: '',
    delimiter: '',
    limit: 1000,
  })
  if (page === 'bucket-gone') throw new Error('nobody deletes this bucket')
  return page.entries.flatMap((entry) => (entry.kind === 'entry' ? [entry.record.version] : []))
}

function partitionOf({ host }: Running, id: number): Promise<MetadataPartition> {
  const partitions = opened.get(host) ?? new Map<number, Promise<MetadataPartition>>()
  opened.set(host, partitions)
  const known = partitions.get(id)
  if (known) return known
  const clock = { now: () => NOW_MS }
  const partition = openPartition({ id }, { log: host.partitionLog(id), clock })
  partitions.set(id, partition)
  return partition
}

function newCommandId(seeded: Seeded): Uid {
  const random = seeded.bytes(10).toString('hex')
  return `${NOW_MS.toString(16).padStart(12, '0')}${random}` as Uid
}

function tagOf(version: AnyVersion): string {
  return isDeleteMarker(version) ? '!' : version.etag
}
