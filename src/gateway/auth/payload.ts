// What a request claims of its body by x-amz-content-sha256: a hash, nothing, or framed chunks.
import { S3Error } from '../s3-error.ts'
import type { ChunkSeed } from './chunk-chain.ts'
import { EMPTY_SHA256 } from './sigv4.ts'

/** How the body is protected. */
export type Payload =
  | { kind: 'unsigned' }
  /** Lower-case hex. */
  | { kind: 'hashed'; sha256: string }
  /** Framed as aws-chunked; signed chunk by chunk when there is a seed. */
  | { kind: 'chunked'; seed: ChunkSeed | undefined; trailers: boolean }

/** The claim before the signature is verified. */
export type PayloadClaim =
  | { kind: 'unsigned' }
  | { kind: 'hashed'; sha256: string }
  | { kind: 'chunked'; signed: boolean; trailers: boolean }

/** Of every request that has no body. */
const EMPTY: PayloadClaim = { kind: 'hashed', sha256: EMPTY_SHA256 }

/** Reads x-amz-content-sha256. Throws InvalidArgument when it is none of the known. */
export function parsePayloadClaim(value: string): PayloadClaim {
  switch (value) {
    case EMPTY_SHA256:
      return EMPTY
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' }
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunked', signed: false, trailers: true }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'chunked', signed: true, trailers: false }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunked', signed: true, trailers: true }
    default:
      return parseHash(value)
  }
}

function parseHash(value: string): PayloadClaim {
  if (/^[0-9a-fA-F]{64}$/.test(value)) return { kind: 'hashed', sha256: value.toLowerCase() }
  if (value.startsWith('STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD')) {
    throw new S3Error('NotImplemented', { Header: 'x-amz-content-sha256' })
  }
  throw new S3Error(
    'InvalidArgument',
    { ArgumentName: 'x-amz-content-sha256', ArgumentValue: value },
    {
      message:
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
    },
  )
}

/** The protection that a verified claim gives. `seed` is what the head's signature leaves to the chunks. */
export function protect(claim: PayloadClaim, seed: ChunkSeed | undefined): Payload {
  if (claim.kind !== 'chunked') return claim
  if (!claim.signed) return { kind: 'chunked', seed: undefined, trailers: claim.trailers }
  if (seed !== undefined) return { kind: 'chunked', seed, trailers: claim.trailers }
  const message = 'Signed chunks need a request that is signed with AWS4-HMAC-SHA256.'
  throw new S3Error('InvalidRequest', {}, { message })
}
