// PUT object with a source: the bytes of one object become another, with its headers or with new ones.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
import type { ObjectAttributes, ObjectVersion } from '../../objects/object-store.ts'
import type { Call, Headers, Reply } from '../call.ts'
import { DEFAULT_CHECKSUM, parseChecksumAlgorithm } from '../headers/checksum-headers.ts'
import type { CopySource } from '../headers/copy-source.ts'
import { invalidArgument } from '../headers/list-parameters.ts'
import { parseAttributes } from '../headers/object-attributes.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { parseWriteConditions } from '../headers/write-conditions.ts'
import { xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { copyObjectDocument } from '../xml/documents/copy-result.ts'
import { copiedBody } from './steps/copied-body.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findSource, parseSource } from './steps/read-source.ts'
import { refusal, refuseEarly } from './steps/refuse.ts'
import { PUT_BYTES_MAX } from './steps/refuse-size.ts'

export async function copyObject(call: Call): Promise<Reply> {
  const { key, headers, objects, signal } = call
  const bucket = findBucket(call)
  refuseHeaders(headers)
  const source = parseSource(call)
  const replaces = parseDirective(headers, 'x-amz-metadata-directive') === 'REPLACE'
  parseDirective(headers, 'x-amz-tagging-directive')
  if (!replaces) refuseNoChange(call, source)
  const conditions = parseWriteConditions(headers)
  const asked = parseChecksumAlgorithm(headers)
  const sent = parseAttributes(headers)
  const found = await findSource(call, source)
  const { version } = found
  refuseLargeSource(version.bytes)
  await refuseEarly(call, bucket, conditions)
  const outcome = await objects.put({
    bucket,
    key,
    attributes: replaces ? sent : copiedAttributes(version, sent),
    conditions,
    body: copiedBody(
      found,
      { first: 0, last: version.bytes - 1 },
      { checksum: asked ?? version.checksum?.algorithm ?? DEFAULT_CHECKSUM, signal },
    ),
    signal,
  })
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  return xmlReply(copyObjectDocument(outcome.version))
}

function parseDirective(headers: Headers, name: string): 'COPY' | 'REPLACE' {
  const directive = headers[name] || 'COPY'
  if (directive === 'COPY' || directive === 'REPLACE') return directive
  const what = name === 'x-amz-metadata-directive' ? 'metadata' : 'tagging'
  throw invalidArgument(name, directive, `Unknown ${what} directive.`)
}

// A copy onto itself has to change something (pitfall 98).
function refuseNoChange({ bucket, key, headers }: Call, source: CopySource): void {
  const changes =
    source.bucket !== bucket ||
    source.key !== key ||
    source.versionId !== undefined ||
    headers['x-amz-storage-class'] ||
    headers['x-amz-website-redirect-location']
  if (changes) return
  throw new S3Error(
    'InvalidRequest',
    {},
    {
      message:
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    },
  )
}

function refuseLargeSource(bytes: number): void {
  if (bytes <= PUT_BYTES_MAX) return
  const message = `The specified copy source is larger than the maximum allowable size for a copy source: ${PUT_BYTES_MAX}`
  throw new S3Error('InvalidRequest', {}, { message })
}

// Storage class and redirect belong to the place, not to the object: they are never copied (pitfall 99).
function copiedAttributes(version: ObjectVersion, sent: ObjectAttributes): ObjectAttributes {
  const { websiteRedirectLocation: _, ...headers } = version.headers
  const redirect = sent.headers.websiteRedirectLocation
  return {
    headers: redirect === undefined ? headers : { ...headers, websiteRedirectLocation: redirect },
    userMetadata: version.userMetadata,
    storageClass: sent.storageClass,
  }
}
