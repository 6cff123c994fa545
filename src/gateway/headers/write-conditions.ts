// Conditions of writes. They are decided with the commit (pitfall 67); here they are read, and asked once
// early, so that a write which can not succeed is refused before its body is sent.
import type { WriteConditions } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'
import { matchesEtag, parseEtags, unweak } from './etags.ts'

// A condition that is not understood is never ignored: the client counts on it (pitfall 69).
const UNSUPPORTED = [
  'if-modified-since',
  'if-unmodified-since',
  'x-amz-if-match-last-modified-time',
  'x-amz-if-match-size',
  'x-amz-if-match-initiated-time',
]

/** If-Match and If-None-Match of PUT, Complete, Copy and DELETE; both at once are refused, as on AWS. */
export function parseWriteConditions(headers: Headers): WriteConditions {
  refuseUnsupported(headers)
  const ifMatch = headers['if-match']
  const ifNoneMatch = headers['if-none-match']
  if (ifMatch !== undefined && ifNoneMatch !== undefined) throw notImplemented('If-None-Match')
  if (ifMatch !== undefined) return { ifMatch: atLeastOne(parseEtags(ifMatch)) }
  return ifNoneMatch === undefined
    ? {}
    : { ifNoneMatch: atLeastOne(parseEtags(ifNoneMatch).map(unweak)) }
}

/** For operations that know no conditions at all (UploadPart, Abort). */
export function refuseConditions(headers: Headers): void {
  refuseUnsupported(headers)
  if (headers['if-match'] !== undefined) throw notImplemented('If-Match')
  if (headers['if-none-match'] !== undefined) throw notImplemented('If-None-Match')
}

/** Why a write could not be done now, were it to commit; undefined when it could. */
export function judgeWrite(
  conditions: WriteConditions,
  current: { etag: string } | undefined,
): 'If-Match' | 'If-None-Match' | 'missing' | undefined {
  const { ifMatch, ifNoneMatch } = conditions
  if (ifMatch && !current) return 'missing'
  if (ifMatch && current && !matchesEtag(ifMatch, current.etag, 'strong')) return 'If-Match'
  if (ifNoneMatch && current && matchesEtag(ifNoneMatch, current.etag, 'weak'))
    return 'If-None-Match'
  return undefined
}

/** Whether there is anything to be judged. */
export function isConditional(conditions: WriteConditions): boolean {
  return conditions.ifMatch !== undefined || conditions.ifNoneMatch !== undefined
}

function refuseUnsupported(headers: Headers): void {
  const found = UNSUPPORTED.find((name) => headers[name] !== undefined)
  if (found) throw notImplemented(found)
}

// An empty list would read as "no condition"; an empty ETag matches nothing.
function atLeastOne(etags: string[]): string[] {
  return etags.length === 0 ? [''] : etags
}

function notImplemented(header: string): S3Error {
  return new S3Error('NotImplemented', { Header: header })
}
