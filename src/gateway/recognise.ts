// Which operation a request is: method, address and a few headers become one name of the S3 model.
// Pure. A request that is none of them is refused, never answered by a neighbour (pitfall 7).
import { type Address, isBucketName, parseAddress } from './address.ts'
import { hoistHeaders, isHoisted, isUnheard } from './auth/hoist.ts'
import type { Headers } from './call.ts'
import type { OperationName } from './operation-names.ts'
import { S3Error } from './s3-error.ts'
import {
  BUCKET_VERBS,
  type Method,
  OBJECT_VERBS,
  PARAMETERS,
  SERVICE_VERBS,
  SUB_RESOURCES,
  type Verbs,
  WITH_VERSIONS,
} from './sub-resources.ts'

/** What of a request decides its operation. */
export interface RequestHead {
  method: string
  /** As it stands in the request line. */
  url: string
  headers: Headers
}

/** A request that was understood. */
export interface Recognised extends Address {
  operation: OperationName
  /** With those that a presigned URL carries as parameters. */
  headers: Headers
}

/** Names the operation of a request. `domains` are the hosts under which buckets are sub-domains. */
export function recognise(head: RequestHead, domains: readonly string[]): Recognised {
  const address = parseAddress(head.url, head.headers.host, domains)
  const headers = hoistHeaders(address.query, head.headers)
  const { rawPath, pairs, query, bucket, key, virtualHost, baseHost } = address
  const operation = nameOperation(head.method, headers, address)
  return { rawPath, pairs, query, bucket, key, virtualHost, baseHost, headers, operation }
}

function nameOperation(verb: string, headers: Headers, address: Address): OperationName {
  if (verb === 'POST' && address.rawPath === '/WriteGetObjectResponse') {
    return 'WriteGetObjectResponse'
  }
  const level = levelOf(address)
  if (level !== 'service' && !isBucketName(address.bucket)) {
    throw new S3Error('InvalidBucketName', { BucketName: address.bucket })
  }
  if (verb === 'OPTIONS' && level !== 'service') return 'CorsPreflight'
  const method = parseMethod(verb, level)
  checkCopySource(method, level, headers)
  refuseUnheard(method, level, headers, address)
  const subResource = findSubResource(method, address)
  const operation = VERBS[level][method]?.[subResource]
  if (operation === undefined) return refuse(method, level, subResource, headers)
  checkVersion(operation, address.query)
  return refine(operation, address, headers)
}

type Level = 'service' | 'bucket' | 'object'

const VERBS: Record<Level, Verbs> = {
  service: SERVICE_VERBS,
  bucket: BUCKET_VERBS,
  object: OBJECT_VERBS,
}

function levelOf({ bucket, key, virtualHost }: Address): Level {
  if (key !== '') return 'object'
  return bucket === '' && !virtualHost ? 'service' : 'bucket'
}

const METHODS: readonly string[] = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'] satisfies Method[]

function parseMethod(method: string, level: Level): Method {
  if (!METHODS.includes(method)) throw methodNotAllowed(method, level)
  return method as Method
}

function methodNotAllowed(method: string, level: Level): S3Error {
  const elements = { Method: method, ResourceType: level.toUpperCase() }
  const allow = Object.keys(VERBS[level]).join(', ')
  return new S3Error('MethodNotAllowed', elements, { headers: { allow } })
}

function checkCopySource(method: Method, level: Level, headers: Headers): void {
  const source = headers['x-amz-copy-source']
  if (source === undefined || (method === 'PUT' && level === 'object')) return
  throw new S3Error(
    'InvalidArgument',
    { ArgumentName: 'x-amz-copy-source', ArgumentValue: source },
    { message: 'You can only specify a copy source header for copy requests.' },
  )
}

/**
 * Throws NotImplemented for settings in the query of a request that is signed in its header: its signer had headers to say
 * them in. What AWS does with them is written nowhere; if it passes them over, a client that sends them has an object
 * without the tags, the lock or the encryption that it asked for, and only a refusal tells it. No SDK sends them. Reads of
 * objects change nothing, and have parameters that only mean to get past a cache.
 */
function refuseUnheard(
  method: Method,
  level: Level,
  { authorization }: Headers,
  { query }: Address,
): void {
  if (authorization === undefined) return
  if (level === 'object' && (method === 'GET' || method === 'HEAD')) return
  const name = Object.keys(query).find((name) => isUnheard(name, query))
  if (name === undefined) return
  const message = `The query parameter ${name} is heard in presigned URLs only: send it as a header.`
  throw new S3Error('NotImplemented', { AdditionalMessage: name }, { message })
}

/** The sub-resource that the query names, '' when it names none. */
function findSubResource(method: Method, { pairs, query }: Address): string {
  if (pairs.length === 0) return ''
  const names = new Set(pairs.map(([name]) => name).filter((name) => SUB_RESOURCES.has(name)))
  for (const name of Object.keys(query)) checkParameter(name, method, query)
  if (names.size > 1) {
    const message = `Conflicting query string parameters: ${[...names].sort().join(', ')}`
    throw new S3Error('InvalidArgument', {}, { message })
  }
  const [name = ''] = names
  return name
}

/** MinIO streams what happens in a bucket to who asks so: a listing would be no answer. */
const EVENTS = 'events'

function checkParameter(name: string, method: Method, query: Address['query']): void {
  const lower = name.toLowerCase()
  // Headers in the query are written in any case; `versionid` would be a version that is asked for and not heard.
  const known = SUB_RESOURCES.has(name) || PARAMETERS.has(name)
  const isHeader = lower.startsWith('x-') || lower === 'content-md5' || lower === 'content-type'
  if (known || isHeader || isHoisted(name, query)) return
  // A read changes nothing: `?v=3` means to get past a cache, `metadata=true` is what other stores tell more for. AWS answers as
  // if they were not there. A name without a value could be a sub-resource, and what writes could ask for anything.
  const isRead = method === 'GET' || method === 'HEAD'
  const harmless = isRead && query[name] !== '' && name !== EVENTS
  if (harmless) return
  const message = `The query parameter ${name} implies functionality that is not implemented.`
  throw new S3Error('NotImplemented', { AdditionalMessage: name }, { message })
}

/** A PUT of a version would make another one, and a DELETE without a key would be one of the bucket. */
function checkVersion(operation: OperationName, { versionId }: Address['query']): void {
  if (!versionId || WITH_VERSIONS.has(operation)) return
  throw new S3Error(
    'InvalidArgument',
    { ArgumentName: 'versionId', ArgumentValue: versionId },
    { message: 'This operation does not accept a version-id.' },
  )
}

/** Tells apart the operations that share a method and a sub-resource. */
function refine(operation: OperationName, { query }: Address, headers: Headers): OperationName {
  switch (operation) {
    case 'ListObjects':
      return query['list-type'] === '2' ? 'ListObjectsV2' : operation
    case 'ListBuckets':
      return isDirectoryListing(query) ? 'ListDirectoryBuckets' : operation
    case 'PutObject':
      if (query.partNumber !== undefined) throw lonelyParameter('partNumber', 'uploadId')
      return headers['x-amz-copy-source'] === undefined ? operation : 'CopyObject'
    case 'DeleteObject':
      // Whoever means a part shall not lose the object.
      if (query.partNumber !== undefined) throw lonelyParameter('partNumber', 'uploadId')
      return operation
    case 'UploadPart':
      if (query.partNumber === undefined) throw lonelyParameter('uploadId', 'partNumber')
      return headers['x-amz-copy-source'] === undefined ? operation : 'UploadPartCopy'
    case 'ListObjectAnnotations':
      return query.annotationName === undefined ? operation : 'GetObjectAnnotation'
    default:
      return query.id === undefined ? operation : (SINGULAR[operation] ?? operation)
  }
}

/** With `?id=` these ask for one configuration, without for the list. */
const SINGULAR: Partial<Record<OperationName, OperationName>> = {
  ListBucketAnalyticsConfigurations: 'GetBucketAnalyticsConfiguration',
  ListBucketIntelligentTieringConfigurations: 'GetBucketIntelligentTieringConfiguration',
  ListBucketInventoryConfigurations: 'GetBucketInventoryConfiguration',
  ListBucketMetricsConfigurations: 'GetBucketMetricsConfiguration',
}

function isDirectoryListing(query: Address['query']): boolean {
  return query['max-directory-buckets'] !== undefined || query['x-id'] === 'ListDirectoryBuckets'
}

function lonelyParameter(given: string, missing: string): S3Error {
  return new S3Error(
    'InvalidArgument',
    { ArgumentName: given },
    { message: `This operation does not accept ${given} without ${missing}` },
  )
}

/** No operation has this method and sub-resource here: says why as exactly as AWS does. */
function refuse(
  method: Method,
  level: Level,
  subResource: string,
  headers: Headers,
): OperationName {
  if (level === 'bucket' && method === 'POST' && subResource === '') return namePost(headers)
  if (level === 'object' && method === 'GET' && subResource === 'uploads') {
    const message = 'Key is not expected for the GET method ?uploads subresource'
    throw new S3Error('InvalidRequest', {}, { message })
  }
  if (level === 'object' && method === 'GET' && subResource === 'versions') {
    const message = 'There is no such thing as the ?versions sub-resource for a key'
    throw new S3Error('InvalidRequest', {}, { message })
  }
  const known = Object.values(VERBS[level]).some((names) => Object.hasOwn(names, subResource))
  if (known) throw methodNotAllowed(method, level)
  const message = `The sub-resource ${subResource} of a ${level} is not implemented.`
  throw new S3Error('NotImplemented', { AdditionalMessage: subResource }, { message })
}

function namePost(headers: Headers): OperationName {
  if (/^multipart\/form-data\b/i.test(headers['content-type'] ?? '')) return 'PostObject'
  const Condition = 'Bucket POST must be of the enclosure-type multipart/form-data'
  throw new S3Error('PreconditionFailed', { Condition })
}
