// Bytes of one object as the body of another: they are digested again on their way, as AWS does.
import { type Digest, newDigest } from '../../../digest/digest.ts'
import type {
  Body,
  ByteRange,
  ChecksumAlgorithm,
  CustomerKey,
  StoredObject,
} from '../../../objects/object-store.ts'

/** The bytes of `range`; an empty range has its last byte before its first. */
export function copiedBody(
  source: StoredObject,
  range: ByteRange,
  options: {
    checksum: ChecksumAlgorithm
    /** Of a source that needs one. */
    customerKey: CustomerKey | undefined
    signal: AbortSignal
  },
): Body {
  const md5 = newDigest('MD5')
  const checksum = newDigest(options.checksum)
  const bytes = range.last - range.first + 1
  return {
    bytes,
    chunks:
      bytes === 0
        ? noChunks()
        : digested(source.read(range, options.signal, options.customerKey), [md5, checksum]),
    finish: () => ({
      md5: encode(md5, 'hex'),
      checksum: {
        algorithm: options.checksum,
        type: 'FULL_OBJECT',
        value: encode(checksum, 'base64'),
      },
    }),
  }
}

/** No bytes at all. */
export async function* noChunks(): AsyncGenerator<Uint8Array> {}

async function* digested(
  chunks: AsyncIterable<Uint8Array>,
  digests: Digest[],
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    for (const digest of digests) digest.update(chunk)
    yield chunk
  }
}

function encode(digest: Digest, encoding: 'hex' | 'base64'): string {
  return Buffer.from(digest.digest()).toString(encoding)
}
