// GET object?attributes: what is known of an object and of its parts, without the bytes and without the headers.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
import type { StoredObject } from '../../objects/object-store.ts'
import type { Call, Headers, Reply } from '../call.ts'
import { judgeRead, parseReadConditions } from '../headers/conditions.ts'
import { httpDate } from '../headers/dates.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { describeUnmodified, versionField, xmlReply } from '../reply.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import {
  ATTRIBUTE_NAMES,
  type AttributeName,
  attributesDocument,
  type ObjectParts,
  type PartsPage,
} from '../xml/documents/object-attributes.ts'
import { customerKeyFor } from './steps/customer-key.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'
import { preconditionFailed } from './steps/refuse.ts'

const PARTS_MAX = 1000

/** Answers 200 or 304; throws InvalidRequest without x-amz-object-attributes, InvalidArgument for an unknown name in it. */
export async function getObjectAttributes(call: Call): Promise<Reply> {
  const { headers } = call
  refuseHeaders(headers)
  const wanted = parseWanted(headers['x-amz-object-attributes'])
  const page = parsePage(headers)
  const bucket = await findBucket(call)
  const object = await findObject(call, bucket)
  const { version } = object
  customerKeyFor(call, version.encryption)
  const verdict = judgeRead(parseReadConditions(headers, call.receivedMs), version)
  if (verdict.kind === 'failed') throw preconditionFailed(verdict.condition)
  if (verdict.kind === 'not-modified')
    return { status: 304, headers: describeUnmodified(bucket, version) }
  const parts = wanted.has('ObjectParts') ? await readParts(object, page) : undefined
  return xmlReply(attributesDocument(version, wanted, parts), {
    'last-modified': httpDate(version.modifiedMs),
    ...versionField(bucket, version),
  })
}

/** The header is a list, or was sent once for each name. */
function parseWanted(header: string | undefined): Set<AttributeName> {
  const names = (header ?? '').split(',').map((name) => name.trim())
  const given = names.filter((name) => name !== '')
  if (given.length === 0) {
    const message =
      'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty'
    throw new S3Error('InvalidRequest', {}, { message })
  }
  return new Set(given.map(parseName))
}

function parseName(name: string): AttributeName {
  const known = ATTRIBUTE_NAMES.find((attribute) => attribute === name)
  if (known) return known
  throw invalidArgument('x-amz-object-attributes', name, 'Invalid attribute name specified.')
}

/** Which parts are asked for: `max-parts` and `part-number-marker` are headers here, and no error where they are no numbers. */
function parsePage(headers: Headers): Pick<PartsPage, 'maxParts' | 'marker'> {
  const limit = numberOr(PARTS_MAX, headers['x-amz-max-parts'])
  return {
    maxParts: Math.min(limit, PARTS_MAX),
    marker: numberOr(0, headers['x-amz-part-number-marker']),
  }
}

function numberOr(otherwise: number, text: string | undefined): number {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : otherwise
}

/** Nothing when the object was not uploaded in parts; only those of COMPOSITE checksums are listed, as on AWS. */
async function readParts(
  object: StoredObject,
  asked: Pick<PartsPage, 'maxParts' | 'marker'>,
): Promise<ObjectParts | undefined> {
  const { manifest, checksum } = object.version
  if (!manifest) return undefined
  const count = manifest.partCount
  if (checksum?.type !== 'COMPOSITE') return { count, page: undefined }
  const { parts, more } =
    asked.maxParts === 0
      ? { parts: [], more: false }
      : await object.listParts(asked.marker, asked.maxParts)
  return { count, page: { ...asked, parts, more } }
}
