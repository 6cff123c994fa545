// Digests of a body as its bytes pass, and their comparison with what the client claims.
import { type Digest, newDigest } from '../../digest/digest.ts'
import { asBuffer } from '../../kit/bytes.ts'
import type { BodyDigests, ChecksumAlgorithm } from '../../objects/object-store.ts'
import { S3Error } from '../s3-error.ts'
import type { ChecksumClaim } from './checksum-claim.ts'

/** What a client claims of the bytes of a body. */
export interface DigestClaims {
  /** 16 bytes of Content-MD5. */
  md5: Uint8Array | undefined
  /** Lower-case hex of x-amz-content-sha256. */
  sha256: string | undefined
  checksum: ChecksumClaim | undefined
}

/** Digests of one body. update() every chunk, then finish() once. */
export class BodyChecksums {
  readonly #claims: DigestClaims
  readonly #algorithm: ChecksumAlgorithm
  readonly #md5: Digest = newDigest('MD5')
  readonly #checksum: Digest
  readonly #sha256: Digest | undefined

  /** `algorithm` is computed when the client claims no checksum. */
  constructor(claims: DigestClaims, algorithm: ChecksumAlgorithm) {
    this.#claims = claims
    this.#algorithm = claims.checksum?.algorithm ?? algorithm
    this.#checksum = newDigest(this.#algorithm)
    const separate = claims.sha256 !== undefined && this.#algorithm !== 'SHA256'
    this.#sha256 = separate ? newDigest('SHA256') : undefined
  }

  update(bytes: Uint8Array): void {
    this.#md5.update(bytes)
    this.#checksum.update(bytes)
    this.#sha256?.update(bytes)
  }

  /** The digests. `trailer` is the checksum that came after the body. Throws when a claim is wrong. */
  finish(trailer: string | undefined): BodyDigests {
    const md5 = asBuffer(this.#md5.digest())
    const checksum = asBuffer(this.#checksum.digest())
    const sha256 = this.#sha256 === undefined ? checksum : asBuffer(this.#sha256.digest())
    this.#checkSha256(sha256)
    this.#checkMd5(md5)
    const value = checksum.toString('base64')
    this.#checkChecksum(value, this.#claims.checksum?.value ?? trailer)
    return {
      md5: md5.toString('hex'),
      checksum: { algorithm: this.#algorithm, type: 'FULL_OBJECT', value },
    }
  }

  #checkSha256(actual: Buffer): void {
    const wanted = this.#claims.sha256
    if (wanted === undefined || actual.toString('hex') === wanted) return
    throw new S3Error('XAmzContentSHA256Mismatch', {
      ClientComputedContentSHA256: wanted,
      S3ComputedContentSHA256: actual.toString('hex'),
    })
  }

  #checkMd5(actual: Buffer): void {
    const wanted = this.#claims.md5
    if (wanted === undefined || actual.equals(wanted)) return
    throw new S3Error(
      'BadDigest',
      {
        ExpectedDigest: asBuffer(wanted).toString('base64'),
        CalculatedDigest: actual.toString('base64'),
      },
      { message: 'The Content-MD5 you specified did not match what we received.' },
    )
  }

  #checkChecksum(actual: string, wanted: string | undefined): void {
    if (this.#claims.checksum === undefined || actual === wanted) return
    throw new S3Error(
      'BadDigest',
      { ExpectedDigest: wanted ?? '', CalculatedDigest: actual },
      { message: `The ${this.#algorithm} you specified did not match the calculated checksum.` },
    )
  }
}
