// POST bucket with a form: a browser's way to PUT an object, allowed by a signed policy among the fields.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
import type { Bucket, ObjectVersion } from '../../objects/object-store.ts'
import { checkKey, KEY_BYTES_MAX } from '../address.ts'
import { checkPolicy, type LengthRange } from '../auth/form-policy.ts'
import { demandField } from '../auth/form-signature.ts'
import { claimsOfBody } from '../body/body-claims.ts'
import { type Form, openForm, parseBoundary } from '../body/form-data.ts'
import { openFormFile } from '../body/form-file.ts'
import { type Call, callFor, type FormFields, type Reply } from '../call.ts'
import { DEFAULT_CHECKSUM } from '../headers/checksum-headers.ts'
import { headersOfForm } from '../headers/form-headers.ts'
import { refuseHeaders } from '../headers/refused-headers.ts'
import { parseWriteConditions } from '../headers/write-conditions.ts'
import { processBound } from '../process-bounds.ts'
import { describeWritten, quoteEtag } from '../reply.ts'
import { invalidArgument } from '../s3-error.ts'
import { type Posted, postResponseDocument } from '../xml/documents/post-response.ts'
import { percentEncode } from '../xml/key-encoding.ts'
import { findBucket } from './steps/find-bucket.ts'
import { describeNewObject } from './steps/new-object.ts'
import { refusal, refuseEarly } from './steps/refuse.ts'
import { PUT_BYTES_MAX } from './steps/refuse-size.ts'

// Forms of which nobody knows yet who signed them, a quarter of all requests that run at once.
// Whoever sends them slowly keeps other forms out, and nothing else.
const unsigned = processBound({ permits: 64, permitsMin: 4, maxWaiting: 0 })

/**
 * Answers as the form says: 204, 200, 201 with a document, or 303 to where the browser goes next. Throws AccessDenied for what
 * the policy does not allow, InvalidPolicyDocument, MalformedPOSTRequest, and EntityTooLarge or EntityTooSmall for the file.
 */
export async function postObject(call: Call): Promise<Reply> {
  const boundary = parseBoundary(call.headers['content-type'] ?? '')
  const { bytes, chunks } = call.body.raw()
  const form = await openHead(call, chunks, boundary)
  try {
    call.authenticateForm(form.fields)
    const key = findKey(form)
    const range = checkForm(callFor(call, { key }), form.fields)
    const bucket = await findBucket(call)
    const posted = callFor(call, { key, headers: headersOfForm(form.fields) })
    const version = await storeFile(posted, bucket, form, { requestBytes: bytes, range })
    return describePosted(posted, bucket, form.fields, version)
  } finally {
    await form.close()
  }
}

/** Throws OVERLOADED rather than wait: who waits keeps a turn. */
async function openHead(
  { identity }: Call,
  chunks: AsyncIterable<Uint8Array>,
  boundary: string,
): Promise<Form> {
  if (identity.kind !== 'anonymous') return await openForm(chunks, boundary)
  await unsigned.acquire()
  try {
    return await openForm(chunks, boundary)
  } finally {
    unsigned.release()
  }
}

function findKey({ fields, filename }: Form): string {
  const key = withFilename(demandField(fields, 'key'), filename)
  if (key === '') {
    throw invalidArgument('key', '', 'User key must have a length greater than 0.')
  }
  checkKey(key)
  return key
}

/**
 * A file without a name leaves the key as it was sent, as on AWS: else all of them were one. A name too long for any
 * key is cut before it stands in for many: `$` and what follows it mean nothing in it.
 */
function withFilename(template: string, filename: string | undefined): string {
  if (filename === undefined) return template
  // biome-ignore lint/suspicious/noTemplateCurlyInString: so S3 writes the name of the file
  return template.split('${filename}').join(filename.slice(0, KEY_BYTES_MAX + 1))
}

/** How long the file may be. Who signed the request itself needs no policy. */
function checkForm({ bucket, key, receivedMs }: Call, fields: FormFields): LengthRange {
  if (fields.policy === undefined) return { min: 0, max: PUT_BYTES_MAX }
  // The policy is about the bucket that is written to and the key with the name of the file in it.
  const checked: FormFields = Object.assign(Object.create(null), fields, { bucket, key })
  const { min, max } = checkPolicy(fields.policy, checked, receivedMs)
  return { min, max: Math.min(max, PUT_BYTES_MAX) }
}

/** `call` has the key of the form, and its fields as headers. */
async function storeFile(
  call: Call,
  bucket: Bucket,
  form: Form,
  { requestBytes, range }: { requestBytes: number | undefined; range: LengthRange },
): Promise<ObjectVersion> {
  const { key, headers, objects, signal } = call
  refuseHeaders(headers)
  const described = describeNewObject(call, bucket)
  const conditions = parseWriteConditions(headers, call.strict)
  await refuseEarly(call, bucket, conditions)
  const { body, release } = await openFormFile(form, {
    requestBytes,
    range,
    claims: claimsOfBody('PostObject', headers, { kind: 'unsigned' }),
    checksum: DEFAULT_CHECKSUM,
    signal,
  })
  try {
    const outcome = await objects.put({ bucket, key, ...described, conditions, body, signal })
    if (outcome.kind !== 'done') throw refusal(outcome, call)
    return outcome.version
  } finally {
    release()
  }
}

function describePosted(
  { key, baseUrl }: Call,
  bucket: Bucket,
  fields: FormFields,
  version: ObjectVersion,
): Reply {
  const location = `${baseUrl}${bucket.name}/${percentEncode(key)}`
  const headers = { ...describeWritten(bucket, version), location }
  const said = { bucket: bucket.name, key, etag: version.etag }
  const redirect = redirectTarget(fields, said)
  if (redirect !== undefined) return { status: 303, headers: { ...headers, location: redirect } }
  switch (fields.success_action_status) {
    case '200':
      return { status: 200, headers }
    case '201':
      return {
        status: 201,
        headers: { ...headers, 'content-type': 'application/xml' },
        body: { kind: 'text', text: postResponseDocument({ ...said, location }) },
      }
    default:
      return { status: 204, headers }
  }
}

/** Browsers and what is between take hardly longer ones. The name of a host in other scripts takes the square of its length to read. */
const REDIRECT_LENGTH_MAX = 4096

/** Where the browser goes next; what is no address, or too long for one, is passed over, as by AWS. */
function redirectTarget(fields: FormFields, { bucket, key, etag }: Posted): string | undefined {
  const target = fields.success_action_redirect ?? fields.redirect
  if (!target || target.length > REDIRECT_LENGTH_MAX || !URL.canParse(target)) return undefined
  const url = new URL(target)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  const names = { bucket, key, etag: quoteEtag(etag) }
  const query = Object.entries(names).map(([name, text]) => `${name}=${encodeURIComponent(text)}`)
  url.search = [...(url.search === '' ? [] : [url.search.slice(1)]), ...query].join('&')
  return url.href
}
