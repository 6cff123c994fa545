// Bytes of one object as the body of another: they are digested again on their way, as AWS does.
import { digestPassing } from '../../../digest/digest-passing.ts'
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
  const { checksum, customerKey } = options
  const bytes = range.last - range.first + 1
  const chunks = bytes === 0 ? noChunks() : source.read(range, options, customerKey)
  return { bytes, ...digestPassing(chunks, checksum, bytes) }
}

/** No bytes at all. */
export async function* noChunks(): AsyncGenerator<Uint8Array> {}
