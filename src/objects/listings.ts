// Listings of a bucket: current objects, all versions, uploads under way. Each is one merge of all partitions.
import type { ListedVersion, ReachablePartition, ScanPage } from '../metadata/contract.ts'
import type { BucketRef, ListedObject, Upload } from '../metadata/records.ts'
import { mergeScans, type ScanFrom } from './list-pages.ts'
import type { MetadataClient } from './metadata-client.ts'
import type {
  ListPage,
  ListRequest,
  UploadListRequest,
  VersionListRequest,
} from './object-store.ts'

/** A page of current objects. */
export function listObjects(
  metadata: MetadataClient,
  request: ListRequest,
): Promise<ListPage<ListedObject>> {
  return merge(metadata, request, {
    afterId: '',
    idOf: () => '',
    scan: (partition, { afterId: _, ...scan }) => partition.scanObjects(scan),
  })
}

/** A page of all versions and delete markers. */
export function listVersions(
  metadata: MetadataClient,
  request: VersionListRequest,
): Promise<ListPage<ListedVersion>> {
  return merge(metadata, request, {
    afterId: request.afterVersionId,
    idOf: ({ version }) => version.versionId,
    scan: (partition, { afterId, ...scan }) =>
      partition.scanVersions({ ...scan, afterVersionId: afterId }),
  })
}

/** A page of uploads under way. */
export function listUploads(
  metadata: MetadataClient,
  request: UploadListRequest,
): Promise<ListPage<Upload>> {
  return merge(metadata, request, {
    afterId: request.afterUploadId,
    idOf: ({ uploadId }) => uploadId,
    scan: (partition, { afterId, ...scan }) =>
      partition.scanUploads({ ...scan, afterUploadId: afterId }),
  })
}

/** What tells one listing from another. */
interface Kind<Record> {
  /** Of the key `after`: greater ids are still listed. */
  afterId: string
  idOf(record: Record): string
  scan(
    partition: ReachablePartition,
    from: ScanFrom & { bucket: BucketRef; prefix: string; delimiter: string },
  ): Promise<ScanPage<Record> | 'bucket-gone'>
}

function merge<Record>(
  metadata: MetadataClient,
  request: ListRequest,
  { afterId, idOf, scan }: Kind<Record>,
): Promise<ListPage<Record>> {
  const { bucket, prefix, delimiter, limit } = request
  const scans = metadata.partitions.map(
    (partition) => (from: ScanFrom) =>
      metadata.ask(partition, bucket, (asked, ref) =>
        scan(asked, { bucket: ref, prefix, delimiter, ...from }),
      ),
  )
  return mergeScans(scans, { ...startOf(request), afterId }, limit, idOf)
}

/** Pitfall 81: a marker inside or equal to a common prefix skips all of that prefix. */
function startOf({ prefix, delimiter, after }: ListRequest): {
  after: string
  afterPrefix: boolean
} {
  if (delimiter === '' || !after.startsWith(prefix)) return { after, afterPrefix: false }
  const end = after.indexOf(delimiter, prefix.length)
  if (end < 0) return { after, afterPrefix: false }
  return { after: after.slice(0, end + delimiter.length), afterPrefix: true }
}
