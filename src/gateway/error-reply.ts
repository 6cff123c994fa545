// Turns whatever was thrown into an S3 error, and that into the reply the client gets.
import type { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type { CoordinatorUnavailable } from '../objects/object-store.ts'
import type { Reply } from './call.ts'
import { S3Error } from './s3-error.ts'
import { errorDocument } from './xml/error-document.ts'

/** What the reply to a failed request says beside the error. */
export interface ErrorContext {
  requestId: string
  hostId: string
  /** Path as the client named it. */
  resource: string
  /** HEAD: no body, whatever happened (pitfall 51). */
  method: string
}

const OTHER_KEY = 'The provided encryption parameters did not match the ones used originally.'

/** The S3 error for `error`: what the inner rooms throw is told by its `code`; the unknown is InternalError. */
export function asS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error
  const cause = error
  switch ((error as { code?: unknown } | undefined)?.code) {
    case 'OVERLOADED':
      return slowDown() // Without a cause it is not logged: a flood must not flood the log.
    case 'COORDINATOR_UNAVAILABLE':
      return undecided(error as CoordinatorUnavailable)
    case 'METADATA_UNAVAILABLE':
    case 'TOO_FEW_DRIVES':
    case 'SHARDS_AWAY':
    case 'SOURCE_CHANGED':
    case 'KEY_PROVIDER_UNAVAILABLE':
      return unavailable(cause)
    case 'STORE_FULL':
      // Without a cause, likewise: that the drives are full is in the log already, once.
      return new S3Error('InsufficientStorage')
    case 'DRIVE_UNAVAILABLE':
      if ((error as DriveUnavailable).trouble !== 'full') return unavailable(cause)
      return new S3Error('InsufficientStorage', {}, { cause })
    case 'BODY_LENGTH_WRONG':
      return new S3Error('IncompleteBody', {}, { cause })
    case 'CUSTOMER_KEY_WRONG':
      return new S3Error('InvalidRequest', {}, { cause, message: OTHER_KEY })
    case 'NO_SUCH_KEY':
      return new S3Error('KMS.NotFoundException', {}, { cause, message: (error as Error).message })
    case 'BUCKET_GONE':
      return new S3Error('NoSuchBucket', {}, { cause })
    default:
      return new S3Error('InternalError', {}, { cause })
  }
}

/** What every gateway of a cluster agrees on, such as buckets, is decided in etcd; objects need none of it. */
function undecided(cause: CoordinatorUnavailable): S3Error {
  const message = WHY_UNDECIDED[cause.why ?? 'contended']
  if (message === undefined) return slowDown(cause)
  return unavailable(cause, message)
}

/** What a client is told; where it says nothing, coming again is enough. */
const WHY_UNDECIDED: Record<NonNullable<CoordinatorUnavailable['why']>, string | undefined> = {
  away: 'Nothing was changed: etcd, which decides about buckets and their settings, does not answer.',
  open: 'etcd went away: what was asked for may have been done, or may be done yet.',
  restored:
    'Nothing was changed: etcd was restored from a backup. See kintsugi cluster restore-coordinator.',
  refused: 'Nothing was changed: etcd refuses, or its state can not be read.',
  contended: undefined,
  full: undefined,
}

/** Too much is asked: the client shall come again, and less often (pitfall 58). */
export function slowDown(cause?: unknown): S3Error {
  return new S3Error('SlowDown', {}, { cause, headers: { 'retry-after': '1' } })
}

/** What is needed does not answer, such as most replicas of a partition: it passes, and to ask less often would not help. */
function unavailable(cause: unknown, message?: string): S3Error {
  const said = message === undefined ? {} : { message }
  const options = { cause, ...said, headers: { 'retry-after': '1' } }
  return new S3Error('ServiceUnavailable', {}, options)
}

/**
 * The error as it is told behind a status of 200 (pitfall 100). There clients go by the code alone, and of those that say
 * that they may come again only InternalError and SlowDown are known to all of them.
 */
export function asLateError(error: unknown): S3Error {
  const known = asS3Error(error)
  if (known.code !== 'ServiceUnavailable') return known
  return new S3Error('InternalError', {}, { cause: known.cause })
}

/** The reply for `error`. */
export function errorReply(error: S3Error, context: ErrorContext): Reply {
  const { status } = error
  if (context.method === 'HEAD') return { status, headers: { ...error.headers } }
  return {
    status,
    headers: { ...error.headers, 'content-type': 'application/xml' },
    body: { kind: 'text', text: errorDocument(error, context) },
  }
}
