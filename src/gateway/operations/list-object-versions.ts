// GET bucket?versions: every version and delete marker, by key and then newest first (pitfall 89).
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
import type { ListedVersion, ListPage } from '../../objects/object-store.ts'
import type { Call, Reply } from '../call.ts'
import { parseCount, parseListParameters } from '../headers/list-parameters.ts'
import { parseVersionId } from '../headers/version-id.ts'
import { xmlReply } from '../reply.ts'
import { invalidArgument } from '../s3-error.ts'
import { listVersionsDocument } from '../xml/documents/list-versions.ts'
import { findBucket } from './steps/find-bucket.ts'

const VERSION_ID_MARKER = 'version-id-marker'

/** Answers at most 1,000; throws InvalidArgument for a `version-id-marker` that is no id, or comes without `key-marker`. */
export async function listObjectVersions(call: Call): Promise<Reply> {
  const { query } = call
  const bucket = await findBucket(call)
  const { prefix, delimiter, encoding } = parseListParameters(query)
  const maxKeys = parseCount(query, 'max-keys')
  const keyMarker = query['key-marker'] ?? ''
  const versionIdMarker = query[VERSION_ID_MARKER] ?? ''
  const page = await listPage(call, {
    bucket,
    prefix,
    delimiter,
    after: keyMarker,
    afterVersionId: parseMarker(versionIdMarker, keyMarker),
    limit: maxKeys,
  })
  return xmlReply(
    listVersionsDocument({
      bucket: bucket.name,
      prefix,
      delimiter,
      encoding,
      maxKeys,
      keyMarker,
      versionIdMarker,
      next: nextMarkers(page),
      entries: page.entries,
    }),
  )
}

/** The version after which to go on, `null` being one; empty when those of the key marker are all done. */
function parseMarker(marker: string, keyMarker: string): string {
  if (marker === '') return ''
  if (keyMarker === '')
    throw invalidArgument(
      VERSION_ID_MARKER,
      marker,
      'A version-id marker cannot be specified without a key marker.',
    )
  if (parseVersionId(marker, VERSION_ID_MARKER).kind === 'named') return marker
  throw invalidArgument(VERSION_ID_MARKER, marker, 'Invalid version id specified')
}

// A page of nothing is complete: there would be nothing to go on from (pitfall 82).
async function listPage(
  { objects }: Call,
  request: Parameters<Call['objects']['listVersions']>[0],
): Promise<ListPage<ListedVersion>> {
  if (request.limit === 0) return { entries: [], last: undefined }
  return await objects.listVersions(request)
}

// The marker is the store's own id even of a version called null: it says where to go on when that is gone by then.
function nextMarkers({ entries, last }: ListPage<ListedVersion>) {
  if (last === undefined) return undefined
  const lastEntry = entries.at(-1)
  const versionIdMarker =
    lastEntry?.kind === 'entry' ? lastEntry.record.version.versionId : undefined
  return { keyMarker: last, versionIdMarker }
}
