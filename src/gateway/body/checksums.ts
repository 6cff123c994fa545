// Digests of a body as its bytes pass, and their comparison with what the client claims.
import type { DigestName } from '../../digest/digest.ts'
import { PassingDigests } from '../../digest/digest-passing.ts'
import { asBuffer } from '../../kit/bytes.ts'
import type { BodyDigests, Checksum, ChecksumAlgorithm } from '../../objects/object-store.ts'
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

/** Digests of one body. pass() all of it, then finish() once. */
export class BodyChecksums {
  readonly #claims: DigestClaims
  readonly #algorithm: ChecksumAlgorithm
  readonly #digests: PassingDigests
  #claimed: Checksum | undefined

  /**
   * `algorithm` is computed when the client claims no checksum, and with `always` beside the one that it claims;
   * `bytes`: about how long the body is.
   */
  constructor(
    claims: DigestClaims,
    algorithm: ChecksumAlgorithm,
    { bytes, always = false }: { bytes: number; always?: boolean | undefined },
  ) {
    const claimed = claims.checksum?.algorithm
    this.#claims = claims
    this.#algorithm = always ? algorithm : (claimed ?? algorithm)
    // Each is computed once, whoever wants it: MD5 is ETag, Content-MD5 and checksum.
    const names = new Set<DigestName>(['MD5', this.#algorithm])
    if (claimed !== undefined) names.add(claimed)
    if (claims.sha256 !== undefined) names.add('SHA256')
    this.#digests = new PassingDigests([...names], bytes)
  }

  /** Passes the body on. */
  pass(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    return this.#digests.pass(chunks)
  }

  /** The checksum that the client claimed, once finish() found it to be right. */
  get claimed(): Checksum | undefined {
    return this.#claimed
  }

  /** The digests. `trailer` is the checksum that came after the body. Throws when a claim is wrong. */
  finish(trailer: string | undefined): BodyDigests {
    const values = this.#digests.values()
    const md5 = asBuffer(values.get('MD5')!)
    this.#checkSha256(values.get('SHA256'))
    this.#checkMd5(md5)
    this.#claimed = this.#checkChecksum(values, trailer)
    return { md5: md5.toString('hex'), checksum: checksumOf(this.#algorithm, values) }
  }

  #checkSha256(digest: Uint8Array | undefined): void {
    const wanted = this.#claims.sha256
    const actual = digest === undefined ? '' : asBuffer(digest).toString('hex')
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
        ExpectedDigest: asBuffer(wanted).toString('hex'),
        CalculatedDigest: actual.toString('base64'),
      },
      { message: 'The Content-MD5 you specified did not match what we received.' },
    )
  }

  #checkChecksum(values: Digests, trailer: string | undefined): Checksum | undefined {
    const claim = this.#claims.checksum
    if (claim === undefined) return undefined
    const actual = checksumOf(claim.algorithm, values)
    const wanted = claim.value ?? trailer
    if (actual.value === wanted) return actual
    throw new S3Error(
      'BadDigest',
      { ExpectedDigest: wanted ?? '', CalculatedDigest: actual.value },
      { message: `The ${claim.algorithm} you specified did not match the calculated checksum.` },
    )
  }
}

type Digests = ReadonlyMap<DigestName, Uint8Array>

function checksumOf(algorithm: ChecksumAlgorithm, values: Digests): Checksum {
  const value = asBuffer(values.get(algorithm)!).toString('base64')
  return { algorithm, type: 'FULL_OBJECT', value }
}
