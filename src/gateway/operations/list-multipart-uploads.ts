// GET bucket?uploads: the uploads under way, by key and then by age.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
import type { ListPage, Upload } from '../../objects/object-store.ts'
import type { Call, Reply } from '../call.ts'
import { parseCount, parseListParameters } from '../headers/list-parameters.ts'
import { xmlReply } from '../reply.ts'
import { listUploadsDocument } from '../xml/documents/list-uploads.ts'
import { findBucket } from './steps/find-bucket.ts'

export async function listMultipartUploads(call: Call): Promise<Reply> {
  const { query } = call
  const bucket = await findBucket(call)
  const { prefix, delimiter, encoding } = parseListParameters(query)
  const maxUploads = parseCount(query, 'max-uploads')
  const keyMarker = query['key-marker'] ?? ''
  // Without a key marker it means nothing.
  const uploadIdMarker = keyMarker === '' ? '' : (query['upload-id-marker'] ?? '')
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
      next: nextMarkers(page),
      entries: page.entries,
    }),
  )
}

async function listPage(
  { objects }: Call,
  request: Parameters<Call['objects']['listUploads']>[0],
): Promise<ListPage<Upload>> {
  if (request.limit === 0) return { entries: [], last: undefined }
  return await objects.listUploads(request)
}

function nextMarkers({ entries, last }: ListPage<Upload>) {
  if (last === undefined) return undefined
  const lastEntry = entries.at(-1)
  const uploadIdMarker = lastEntry?.kind === 'entry' ? lastEntry.record.uploadId : ''
  return { keyMarker: last, uploadIdMarker }
}
