// GET bucket: the first form of the listing, continued by the name of the last key.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
import type { Call, Reply } from '../call.ts'
import { parseCount, parseListParameters } from '../headers/list-parameters.ts'
import { regionField, xmlReply } from '../reply.ts'
import { listObjectsDocument } from '../xml/documents/list-objects.ts'
import { findBucket } from './steps/find-bucket.ts'
import { listPage } from './steps/list-page.ts'

/** Answers at most 1,000 keys and prefixes together, NextMarker only where there is a delimiter. */
export async function listObjects(call: Call): Promise<Reply> {
  const bucket = await findBucket(call)
  const { prefix, delimiter, encoding } = parseListParameters(call.query)
  const maxKeys = parseCount(call.query, 'max-keys')
  const marker = call.query.marker ?? ''
  const { entries, last } = await listPage(call, {
    bucket,
    prefix,
    delimiter,
    after: marker,
    limit: maxKeys,
  })
  return xmlReply(
    listObjectsDocument({
      bucket: bucket.name,
      prefix,
      delimiter,
      encoding,
      maxKeys,
      marker,
      // Without a delimiter clients go on after the last key (pitfall 80).
      nextMarker: delimiter === '' ? undefined : last,
      entries,
      isTruncated: last !== undefined,
    }),
    regionField(bucket),
  )
}
