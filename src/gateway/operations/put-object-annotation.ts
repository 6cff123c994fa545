// PUT object?annotation: a named text, kept with one version and gone when it goes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAnnotation.html
import type { AnnotateOutcome, Body } from '../../objects/object-store.ts'
import type { Call, Reply } from '../call.ts'
import {
  parseAnnotationName,
  parseObjectIfMatch,
  refuseCustomerKey,
} from '../headers/annotations.ts'
import { checksumFields, DEFAULT_CHECKSUM } from '../headers/checksum-headers.ts'
import { encryptionFields } from '../headers/encryption-headers.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { objectVersionField, quoteEtag, xmlReply } from '../reply.ts'
import { S3Error } from '../s3-error.ts'
import { putAnnotationDocument } from '../xml/documents/annotations.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'
import { refusal } from './steps/refuse.ts'

const TEXT_BYTES_MAX = 1024 * 1024

/**
 * Answers name and ETag. Throws EntityTooLarge over 1 MiB, UnsupportedMediaType for what is no UTF-8, AnnotationLimitExceeded
 * for one more than 1,000, and ConditionalRequestConflict where the version went meanwhile.
 */
export async function putObjectAnnotation(call: Call): Promise<Reply> {
  const { key, headers, query, body, objects, signal } = call
  const bucket = await findBucket(call)
  refuseHeaders(headers)
  const name = parseAnnotationName(query)
  const ifMatch = parseObjectIfMatch(headers)
  refuseSize(body.bytes)
  const { version } = await findObject(call, bucket)
  refuseCustomerKey(version.encryption)
  const text = textBody(body.open(DEFAULT_CHECKSUM))
  const outcome = await objects.annotate({
    bucket,
    key,
    version,
    name,
    ...ifMatch,
    body: text,
    signal,
  })
  if (outcome.kind !== 'done') throw annotateRefusal(outcome, call)
  const { etag, checksum } = outcome.annotation
  return xmlReply(putAnnotationDocument(key, name), {
    etag: quoteEtag(etag),
    ...checksumFields(checksum),
    ...encryptionFields(version.encryption),
    ...objectVersionField(bucket, version),
  })
}

function refuseSize(bytes: number): void {
  if (bytes === 0)
    throw new S3Error(
      'InvalidRequest',
      {},
      { message: 'An annotation is a text of 1 byte to 1 MiB.' },
    )
  if (bytes > TEXT_BYTES_MAX)
    throw new S3Error('EntityTooLarge', {
      ProposedSize: String(bytes),
      MaxSizeAllowed: String(TEXT_BYTES_MAX),
    })
}

/** The body, refused where it is no UTF-8. */
function textBody(body: Body): Body {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const decoder = new TextDecoder('utf-8', { fatal: true })
    for await (const chunk of body.chunks) {
      checkText(() => decoder.decode(chunk, { stream: true }))
      yield chunk
    }
    checkText(() => decoder.decode())
  }
  return { bytes: body.bytes, chunks: chunks(), finish: () => body.finish() }
}

function checkText(decode: () => string): void {
  try {
    decode()
  } catch (cause) {
    throw new S3Error('UnsupportedMediaType', {}, { cause })
  }
}

function annotateRefusal(outcome: Exclude<AnnotateOutcome, { kind: 'done' }>, call: Call): S3Error {
  switch (outcome.kind) {
    case 'too-many':
      return new S3Error('AnnotationLimitExceeded')
    case 'no-version':
    case 'delete-marker':
      // It was there when the request began.
      return new S3Error('ConditionalRequestConflict')
    default:
      return refusal(outcome, call)
  }
}
