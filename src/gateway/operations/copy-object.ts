// PUT object with a source: the bytes of one object become another, with its headers or with new ones.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
import type { Bucket, ObjectVersion, StoredObject, Tag } from '../../objects/object-store.ts'
import type { Call, Headers, Reply } from '../call.ts'
import { copiesAnnotations, refuseCustomerKey } from '../headers/annotations.ts'
import { DEFAULT_CHECKSUM, parseChecksumAlgorithm } from '../headers/checksum-headers.ts'
import type { CopySource } from '../headers/copy-source.ts'
import { encryptionFields } from '../headers/encryption-headers.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { parseWriteConditions } from '../headers/write-conditions.ts'
import { versionField, xmlReply } from '../reply.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import { copyObjectDocument } from '../xml/documents/copy-result.ts'
import { copiedBody } from './steps/copied-body.ts'
import { findBucket } from './steps/find-bucket.ts'
import { describeNewObject, type NewObject } from './steps/new-object.ts'
import { findSource, parseSource, refuseBody } from './steps/read-source.ts'
import { refusal, refuseEarly } from './steps/refuse.ts'
import { PUT_BYTES_MAX } from './steps/refuse-size.ts'

/**
 * Answers ETag and checksum of the copy. Throws InvalidRequest for a source over 5 GiB, for itself with nothing changed, and for
 * a body, InvalidArgument for a Range.
 */
export async function copyObject(call: Call): Promise<Reply> {
  const { key, headers, objects, signal } = call
  const bucket = await findBucket(call)
  refuseHeaders(headers)
  refuseRange(headers)
  refuseBody(headers)
  const source = parseSource(call)
  const directives = parseDirectives(headers)
  if (directives.metadata === 'COPY') refuseNoChange(call, source, bucket)
  const conditions = parseWriteConditions(headers, call.strict)
  const asked = parseChecksumAlgorithm(headers)
  const described = describeNewObject(call, bucket)
  const { object, customerKey, headers: sourceFields } = await findSource(call, source)
  const { version } = object
  refuseLargeSource(version.bytes)
  const annotations = annotationsToCopy(headers, object, described)
  await refuseEarly(call, bucket, conditions)
  const outcome = await objects.put({
    bucket,
    key,
    ...withCopied(described, version, directives),
    ...annotations,
    conditions,
    body: copiedBody(
      object,
      { first: 0, last: version.bytes - 1 },
      {
        checksum: asked ?? version.checksum?.algorithm ?? DEFAULT_CHECKSUM,
        customerKey,
        signal,
      },
    ),
    signal,
  })
  if (outcome.kind !== 'done') throw refusal(outcome, call)
  return xmlReply(copyObjectDocument(outcome.version), {
    ...sourceFields,
    ...encryptionFields(outcome.version.encryption),
    ...versionField(bucket, outcome.version),
  })
}

type Directive = 'COPY' | 'REPLACE'

/** Whether metadata and tags are those of the source or of the request. */
interface Directives {
  metadata: Directive
  tagging: Directive
}

function parseDirectives(headers: Headers): Directives {
  const tagging = parseDirective(headers, 'tagging')
  // The tags would be dropped without a word.
  if (tagging === 'COPY' && headers['x-amz-tagging'])
    throw invalidRequest('x-amz-tagging needs an x-amz-tagging-directive of REPLACE.')
  return { metadata: parseDirective(headers, 'metadata'), tagging }
}

function parseDirective(headers: Headers, what: 'metadata' | 'tagging'): Directive {
  const name = `x-amz-${what}-directive`
  const directive = headers[name] || 'COPY'
  if (directive === 'COPY' || directive === 'REPLACE') return directive
  throw invalidArgument(name, directive, `Unknown ${what} directive.`)
}

// Only copies of parts have one: the whole object would be taken for the range that was asked for.
function refuseRange({ range, 'x-amz-copy-source-range': ofSource }: Headers): void {
  if (ofSource !== undefined)
    throw new S3Error('NotImplemented', { Header: 'x-amz-copy-source-range' })
  if (range !== undefined) throw invalidArgument('Range', range, 'RANGE is not supported in Copy!')
}

// A copy onto itself has to change something (pitfall 98). Where a bucket has a default of its own, that is the
// encryption: so objects that were there before get it.
function refuseNoChange(
  { key, headers }: Call,
  source: CopySource,
  { name, settings }: Bucket,
): void {
  const changes =
    source.bucket !== name ||
    source.key !== key ||
    source.versionId !== undefined ||
    settings?.encryption !== undefined ||
    headers['x-amz-storage-class'] ||
    headers['x-amz-website-redirect-location'] ||
    Object.keys(headers).some((name) => name.startsWith('x-amz-server-side-encryption'))
  if (changes) return
  throw invalidRequest(
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  )
}

function refuseLargeSource(bytes: number): void {
  if (bytes <= PUT_BYTES_MAX) return
  throw invalidRequest(
    `The specified copy source is larger than the maximum allowable size for a copy source: ${PUT_BYTES_MAX}`,
  )
}

// Storage class, redirect, lock and encryption belong to the place, not to the object: they are never copied (pitfall 99).
function withCopied(
  described: NewObject,
  version: ObjectVersion,
  directives: Directives,
): NewObject {
  const { tags: sentTags, ...sent } = described.attributes
  const tags = tagsField(directives.tagging === 'COPY' ? version.tags : sentTags)
  if (directives.metadata === 'REPLACE') return { ...described, attributes: { ...sent, ...tags } }
  const { websiteRedirectLocation: _, ...headers } = version.headers
  const redirect = sent.headers.websiteRedirectLocation
  const attributes = {
    ...sent,
    ...tags,
    headers: redirect === undefined ? headers : { ...headers, websiteRedirectLocation: redirect },
    userMetadata: version.userMetadata,
  }
  return { ...described, attributes }
}

function annotationsToCopy(
  headers: Headers,
  object: StoredObject,
  { encryption }: NewObject,
): { annotationsOf?: StoredObject } {
  if (!copiesAnnotations(headers) || !object.version.annotationsId) return {}
  refuseCustomerKey(encryption)
  return { annotationsOf: object }
}

function tagsField(tags: Tag[] | undefined): { tags?: Tag[] } {
  return tags ? { tags } : {}
}

function invalidRequest(message: string): S3Error {
  return new S3Error('InvalidRequest', {}, { message })
}
