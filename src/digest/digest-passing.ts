// Bytes that are digested while they pass: what S3 wants to know of a body, its MD5 and one checksum.
import { type DigestName, newDigest } from './digest.ts'

/** The chunks that pass, and their digests once all have passed. */
export interface DigestedChunks<Name extends DigestName> {
  chunks: AsyncGenerator<Uint8Array>
  /** `md5` in hex, the value of the checksum in base64. Called once, after the last chunk. */
  finish(): { md5: string; checksum: { algorithm: Name; type: 'FULL_OBJECT'; value: string } }
}

/** Passes `chunks` on, each of them once through every digest. */
export function digestPassing<Name extends DigestName>(
  chunks: AsyncIterable<Uint8Array>,
  algorithm: Name,
): DigestedChunks<Name> {
  const md5 = newDigest('MD5')
  const other = algorithm === 'MD5' ? undefined : newDigest(algorithm)
  async function* pass(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      md5.update(chunk)
      other?.update(chunk)
      yield chunk
    }
  }
  return {
    chunks: pass(),
    finish: () => {
      const md5Bytes = Buffer.from(md5.digest())
      const value = Buffer.from(other?.digest() ?? md5Bytes).toString('base64')
      return { md5: md5Bytes.toString('hex'), checksum: { algorithm, type: 'FULL_OBJECT', value } }
    },
  }
}
