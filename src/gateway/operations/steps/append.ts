// The part of a PUT with x-amz-write-offset-bytes that differs from every other PUT.
import { unreachable } from '../../../kit/assert.ts'
import type {
  AppendOutcome,
  CustomerKey,
  Encryption,
  EncryptionRequest,
  WriteConditions,
} from '../../../objects/object-store.ts'
import type { Call, Headers } from '../../call.ts'
import { isConditional } from '../../headers/write-conditions.ts'
import { S3Error } from '../../s3-error.ts'
import { refusal } from './refuse.ts'

/** The key of the client that an object with this encryption needs. Throws when the request wants another encryption. */
export function keyToAppend(
  call: Call,
  asked: EncryptionRequest | undefined,
  there: Encryption | undefined,
): CustomerKey | undefined {
  const customerKey = asked?.kind === 'SSE-C' ? asked.customerKey : undefined
  const fits = choosesEncryption(call.headers)
    ? asked?.kind === there?.kind &&
      (there?.kind !== 'SSE-C' || customerKey?.keyMd5 === there.keyMd5)
    : there?.kind !== 'SSE-C'
  if (!fits) throw new S3Error('EncryptionTypeMismatch')
  return customerKey
}

function choosesEncryption(headers: Headers): boolean {
  return Object.keys(headers).some((name) => name.startsWith('x-amz-server-side-encryption'))
}

/** The error for an append that was not done. */
export function appendRefusal(
  outcome: Exclude<AppendOutcome, { kind: 'done' }>,
  call: Call,
  conditions: WriteConditions,
): S3Error {
  switch (outcome.kind) {
    case 'wrong-offset':
      return new S3Error('InvalidWriteOffset')
    case 'too-many-parts':
      return new S3Error('TooManyParts')
    case 'changed':
      return new S3Error('ConditionalRequestConflict')
    case 'condition-failed':
      // The client made no condition: the store's own was that nobody else writes.
      if (!isConditional(conditions)) return new S3Error('ConditionalRequestConflict')
      return refusal(outcome, call)
    case 'missing':
    case 'locked':
    case 'bucket-gone':
      return refusal(outcome, call)
    default:
      return unreachable(outcome)
  }
}
