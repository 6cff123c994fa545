// Verifies a body that was signed chunk by chunk: each signature covers the one before, the first the request's own.
import { createHash, type Hash } from 'node:crypto'
import { S3Error } from '../s3-error.ts'
import { equalInConstantTime } from './constant-time.ts'
import { chunkStringToSign, type Scope, sign, trailerStringToSign } from './sigv4.ts'

/** What the signature of the request head leaves to the chunks. */
export interface ChunkSeed {
  key: Uint8Array
  /** YYYYMMDDTHHMMSSZ of the request. */
  time: string
  scope: Scope
  /** Signature of the request head. */
  signature: string
}

/** One body's chain. Bytes of a chunk go in as they pass; then its signature is checked. */
export class ChunkChain {
  readonly #seed: ChunkSeed
  #previous: string
  #hash: Hash = createHash('sha256')

  constructor(seed: ChunkSeed) {
    this.#seed = seed
    this.#previous = seed.signature
  }

  /** Bytes of the current chunk. */
  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  /** Ends the current chunk. Throws SignatureDoesNotMatch. */
  verifyChunk(signature: string | undefined): void {
    const { time, scope } = this.#seed
    const chunkSha256 = this.#hash.digest('hex')
    this.#hash = createHash('sha256')
    this.#advance(chunkStringToSign(time, scope, this.#previous, chunkSha256), signature)
  }

  /** Ends the body. `trailers` is `name:value\n` for each. Throws SignatureDoesNotMatch. */
  verifyTrailers(trailers: string, signature: string | undefined): void {
    const { time, scope } = this.#seed
    this.#advance(trailerStringToSign(time, scope, this.#previous, trailers), signature)
  }

  #advance(text: string, given: string | undefined): void {
    const wanted = sign(this.#seed.key, text)
    if (given === undefined || !equalInConstantTime(given, wanted)) {
      throw new S3Error('SignatureDoesNotMatch', {
        StringToSign: text,
        SignatureProvided: given ?? '',
      })
    }
    this.#previous = wanted
  }
}
