// GET bucket?uploads: the uploads under way, by key and then by age.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
import { parseUid } from '../../kit/uid.ts'
import type { ListPage, ScanEntry, Upload } from '../../objects/object-store.ts'
import type { Call, Reply } from '../call.ts'
import { parseCount, parseListParameters } from '../headers/list-parameters.ts'
import { xmlReply } from '../reply.ts'
import { invalidArgument } from '../s3-error.ts'
import { listUploadsDocument } from '../xml/documents/list-uploads.ts'
import { findBucket } from './steps/find-bucket.ts'

const UPLOAD_ID_MARKER = 'upload-id-marker'

/** Answers at most 1,000 uploads and prefixes; throws InvalidArgument for an `upload-id-marker` that is no upload id. */
export async function listMultipartUploads(call: Call): Promise<Reply> {
  const { query } = call
  const bucket = await findBucket(call)
  const { prefix, delimiter, encoding } = parseListParameters(query)
  const maxUploads = parseCount(query, 'max-uploads')
  const keyMarker = query['key-marker'] ?? ''
  const uploadIdMarker = keyMarker === '' ? '' : parseMarker(query[UPLOAD_ID_MARKER])
  const page = await listPage(call, {
    bucket,
    prefix,
    delimiter,
    after: keyMarker,
    afterUploadId: uploadIdMarker,
    limit: maxUploads,
  })
  return xmlReply(
    listUploadsDocument({
      bucket: bucket.name,
      prefix,
      delimiter,
      encoding,
      maxUploads,
      keyMarker,
      uploadIdMarker,
      truncated: page.last !== undefined,
      next: nextMarkers(page),
      entries: page.entries,
    }),
  )
}

/** The upload after which to go on; without a key marker it means nothing. From what is no id the rest would be guesswork. */
function parseMarker(marker = ''): string {
  if (marker === '' || parseUid(marker)) return marker
  throw invalidArgument(UPLOAD_ID_MARKER, marker, 'Invalid uploadId marker')
}

async function listPage(
  { objects }: Call,
  request: Parameters<Call['objects']['listUploads']>[0],
): Promise<ListPage<Upload>> {
  if (request.limit === 0) return { entries: [], last: undefined }
  return await objects.listUploads(request)
}

/** AWS says them of every page: where nothing is left they are those of the last upload, and empty without one. */
function nextMarkers({ entries, last }: ListPage<Upload>) {
  const entry = last === undefined ? entries.findLast(isUpload) : entries.at(-1)
  if (entry?.kind !== 'entry') return { keyMarker: last ?? '', uploadIdMarker: '' }
  return { keyMarker: last ?? entry.key, uploadIdMarker: entry.record.uploadId }
}

function isUpload({ kind }: ScanEntry<Upload>): boolean {
  return kind === 'entry'
}
