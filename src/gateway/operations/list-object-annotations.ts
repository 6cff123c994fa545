// GET object?annotation: the annotations of a version, in order of name.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectAnnotations.html
import type { Call, Reply } from '../call.ts'
import { parseAnnotationPrefix } from '../headers/annotations.ts'
import { readToken, writeToken } from '../headers/continuation-token.ts'
import { parseCount } from '../headers/list-parameters.ts'
import { objectVersionField, xmlReply } from '../reply.ts'
import { listAnnotationsDocument } from '../xml/documents/annotations.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'

/** Answers at most 1,000; throws NoSuchKey, InvalidPrefix for one over 512 bytes, InvalidArgument for a token that is none. */
export async function listObjectAnnotations(call: Call): Promise<Reply> {
  const { key, query } = call
  const bucket = await findBucket(call)
  const prefix = parseAnnotationPrefix(query)
  const limit = parseCount(query, 'max-annotation-results')
  const token = query['continuation-token'] || undefined
  const after = token === undefined ? '' : readToken(token)
  const object = await findObject(call, bucket)
  const { annotations, more } =
    limit === 0
      ? { annotations: [], more: false }
      : await object.listAnnotations({ prefix, after, limit })
  const last = annotations.at(-1)
  const nextToken = more && last ? writeToken(last.name) : undefined
  return xmlReply(
    listAnnotationsDocument({
      bucket: bucket.name,
      key,
      prefix,
      limit,
      token,
      nextToken,
      annotations,
    }),
    objectVersionField(bucket, object.version),
  )
}
