// Pages of a listing over plain arrays: everything is sorted, filtered and rolled up on each call.
import type {
  ListedVersion,
  ListPage,
  ListRequest,
  ScanEntry,
  Upload,
  UploadListRequest,
  VersionListRequest,
} from '../../../../src/objects/object-store.ts'

/** One record under its key. */
export interface Listable<Record> {
  key: string
  record: Record
}

export function isAfter(key: string, { after, delimiter }: ListRequest): boolean {
  const insideSkipped = delimiter !== '' && after.endsWith(delimiter) && key.startsWith(after)
  return compareNames(key, after) > 0 && !insideSkipped
}

export function isUploadAfter(
  { key, record }: Listable<Upload>,
  request: UploadListRequest,
): boolean {
  if (key === request.after && request.afterUploadId !== '')
    return record.uploadId > request.afterUploadId
  return isAfter(key, request)
}

export function isVersionAfter(
  { key, record }: Listable<ListedVersion>,
  request: VersionListRequest,
): boolean {
  if (key === request.after && request.afterVersionId !== '')
    return record.version.versionId > request.afterVersionId
  return isAfter(key, request)
}

/** The page of those that are wanted; records of one key stay in the order given. */
export function page<Record>(
  records: Listable<Record>[],
  { prefix, delimiter, limit }: ListRequest,
  isWanted: (entry: Listable<Record>) => boolean,
): ListPage<Record> {
  const entries: ScanEntry<Record>[] = []
  const wanted = records.filter((entry) => entry.key.startsWith(prefix) && isWanted(entry))
  const seen = new Set<string>()
  for (const { key, record } of wanted.sort((a, b) => compareNames(a.key, b.key))) {
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const rolled = cut < 0 ? undefined : key.slice(0, cut + delimiter.length)
    if (rolled === undefined) entries.push({ kind: 'entry', key, record })
    else if (!seen.has(rolled)) entries.push({ kind: 'prefix', prefix: rolled })
    if (rolled !== undefined) seen.add(rolled)
  }
  const shown = entries.slice(0, limit)
  const last = shown.at(-1)
  const lastName = last?.kind === 'entry' ? last.key : last?.prefix
  return { entries: shown, last: entries.length > limit ? lastName : undefined }
}

function compareNames(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}
