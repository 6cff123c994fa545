// Who sent a request: decides by which of its signatures, and refuses what carries two or an unknown one.
import { S3Error } from '../s3-error.ts'
import type { Authenticated, AuthParts, AuthRequest } from './auth-request.ts'
import { authenticateHeaderV2 } from './header-v2.ts'
import { authenticateHeader } from './header-v4.ts'
import { parsePayloadClaim, protect } from './payload.ts'
import { authenticateQueryV2 } from './query-v2.ts'
import { authenticateQuery } from './query-v4.ts'
import { ALGORITHM } from './sigv4.ts'

/** Authenticates a request; without any signature it is anonymous. Throws S3Error. */
export function authenticate(request: AuthRequest, parts: AuthParts): Authenticated {
  const { query } = request.address
  // An empty header is none.
  const authorization = request.headers.authorization || undefined
  const inQuery =
    query['X-Amz-Algorithm'] !== undefined ||
    query['X-Amz-Credential'] !== undefined ||
    query['X-Amz-Signature'] !== undefined
  const inQueryV2 = query.Signature !== undefined || query.AWSAccessKeyId !== undefined
  if (inQuery ? inQueryV2 || authorization !== undefined : inQueryV2 && authorization !== undefined)
    throw new S3Error('InvalidArgument', { ArgumentName: 'Authorization' }, { message: ONE_ONLY })
  if (inQuery) return authenticateQuery(request, parts)
  if (inQueryV2) return authenticateQueryV2(request, parts)
  if (authorization !== undefined) return authenticateByScheme(authorization, request, parts)
  return anonymous(request)
}

const ONE_ONLY =
  'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified'

function authenticateByScheme(
  authorization: string,
  request: AuthRequest,
  parts: AuthParts,
): Authenticated {
  const [scheme = ''] = authorization.split(' ', 1)
  if (scheme === ALGORITHM) return authenticateHeader(request, parts)
  if (scheme === 'AWS') return authenticateHeaderV2(request, parts)
  if (scheme.startsWith('AWS4-')) {
    const message =
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.'
    throw new S3Error('InvalidRequest', {}, { message })
  }
  // The value itself may be a password of some other scheme: it is not repeated.
  const elements = { ArgumentName: 'Authorization', ArgumentValue: scheme }
  throw new S3Error('InvalidArgument', elements, { message: 'Unsupported Authorization Type' })
}

function anonymous({ headers }: AuthRequest): Authenticated {
  const claim = parsePayloadClaim(headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD')
  return { identity: { kind: 'anonymous' }, payload: protect(claim, undefined) }
}
