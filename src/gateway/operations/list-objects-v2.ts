// GET bucket?list-type=2: the second form of the listing, continued by an opaque token.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
import type { Call, Reply } from '../call.ts'
import { readToken, writeToken } from '../headers/continuation-token.ts'
import { parseCount, parseListParameters } from '../headers/list-parameters.ts'
import { regionField, xmlReply } from '../reply.ts'
import { listObjectsV2Document } from '../xml/documents/list-objects.ts'
import { findBucket } from './steps/find-bucket.ts'
import { listPage } from './steps/list-page.ts'

/** Answers at most 1,000 keys and prefixes together; throws InvalidArgument for a token that is none of this store. */
export async function listObjectsV2(call: Call): Promise<Reply> {
  const { query } = call
  const bucket = await findBucket(call)
  const { prefix, delimiter, encoding } = parseListParameters(query)
  const maxKeys = parseCount(query, 'max-keys')
  const continuationToken = query['continuation-token']
  const startAfter = query['start-after']
  const goesOn = continuationToken !== undefined && (continuationToken !== '' || call.strict)
  // The token beats start-after; an empty one counts as none (pitfall 83), but for AWS.
  const after = goesOn ? readToken(continuationToken) : (startAfter ?? '')
  const page = await listPage(call, { bucket, prefix, delimiter, after, limit: maxKeys })
  return xmlReply(
    listObjectsV2Document({
      bucket: bucket.name,
      prefix,
      delimiter,
      encoding,
      maxKeys,
      startAfter: goesOn && call.strict ? undefined : startAfter,
      continuationToken,
      nextContinuationToken: page.last === undefined ? undefined : writeToken(page.last),
      entries: page.entries,
      isTruncated: page.last !== undefined,
      withOwner: query['fetch-owner'] === 'true',
    }),
    regionField(bucket),
  )
}
