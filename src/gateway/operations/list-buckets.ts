// GET of the service: the buckets there are, in pages where the client wants pages.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
import type { Call, Reply } from '../call.ts'
import { readToken, writeToken } from '../headers/continuation-token.ts'
import { parseInteger } from '../headers/list-parameters.ts'
import { xmlReply } from '../reply.ts'
import { invalidArgument } from '../s3-error.ts'
import { listBucketsDocument } from '../xml/documents/list-buckets.ts'

const BUCKETS_MAX = 10_000

/** All of them without `max-buckets`. Throws InvalidArgument where that is not 1 to 10,000, and for a token that is none. */
export async function listBuckets({ objects, query }: Call): Promise<Reply> {
  const { prefix } = query
  const token = query['continuation-token']
  const after = token ? readToken(token) : ''
  const region = query['bucket-region']
  const limit = parseLimit(parseInteger(query, 'max-buckets'))
  const matching = (await objects.lookUpBuckets())
    .filter(({ name }) => name > after && name.startsWith(prefix ?? ''))
    .filter((bucket) => !region || bucket.region === region)
  const buckets = matching.slice(0, limit)
  const last = matching.length > limit ? buckets.at(-1)?.name : undefined
  const continuationToken = last === undefined ? undefined : writeToken(last)
  return xmlReply(listBucketsDocument({ buckets, prefix, continuationToken }))
}

function parseLimit(asked: number | undefined): number {
  if (asked === undefined) return Infinity
  if (asked >= 1 && asked <= BUCKETS_MAX) return asked
  throw invalidArgument(
    'max-buckets',
    String(asked),
    `Argument max-buckets must be an integer between 1 and ${BUCKETS_MAX}`,
  )
}
