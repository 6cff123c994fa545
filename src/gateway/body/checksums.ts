// Digests of a body as its bytes pass, and their comparison with what the client claims.
import { type Digest, type DigestName, newDigest, newLongMd5 } from '../../digest/digest.ts'
import { asBuffer, mebibytes } from '../../kit/bytes.ts'
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

/** From here on it pays to digest several bodies together. */
const LONG_BODY_BYTES = mebibytes(1)

/** Digests of one body. update() every chunk, then finish() once. */
export class BodyChecksums {
  readonly #claims: DigestClaims
  readonly #algorithm: ChecksumAlgorithm
  /** Each is computed once, whoever wants it: MD5 is ETag, Content-MD5 and checksum. */
  readonly #digests = new Map<DigestName, Digest>()

  /** `algorithm` is computed when the client claims no checksum; `bytes`: about how long the body is. */
  constructor(claims: DigestClaims, algorithm: ChecksumAlgorithm, bytes = 0) {
    this.#claims = claims
    this.#algorithm = claims.checksum?.algorithm ?? algorithm
    const names = new Set<DigestName>(['MD5', this.#algorithm])
    if (claims.sha256 !== undefined) names.add('SHA256')
    for (const name of names) {
      const isLongMd5 = name === 'MD5' && bytes >= LONG_BODY_BYTES
      this.#digests.set(name, isLongMd5 ? newLongMd5() : newDigest(name))
    }
  }

  update(bytes: Uint8Array): void {
    for (const digest of this.#digests.values()) digest.update(bytes)
  }

  /** The digests. `trailer` is the checksum that came after the body. Throws when a claim is wrong. */
  finish(trailer: string | undefined): BodyDigests {
    const values = new Map<DigestName, Buffer>()
    for (const [name, digest] of this.#digests) values.set(name, asBuffer(digest.digest()))
    const md5 = values.get('MD5')!
    this.#checkSha256(values.get('SHA256'))
    this.#checkMd5(md5)
    const value = values.get(this.#algorithm)!.toString('base64')
    this.#checkChecksum(value, this.#claims.checksum?.value ?? trailer)
    return {
      md5: md5.toString('hex'),
      checksum: { algorithm: this.#algorithm, type: 'FULL_OBJECT', value },
    }
  }

  #checkSha256(digest: Buffer | undefined): void {
    const wanted = this.#claims.sha256
    const actual = digest?.toString('hex') ?? ''
    if (wanted === undefined || actual === wanted) return
    throw new S3Error('XAmzContentSHA256Mismatch', {
      ClientComputedContentSHA256: wanted,
      S3ComputedContentSHA256: actual,
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
