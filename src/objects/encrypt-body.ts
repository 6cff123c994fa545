// A body on its way to the drives, encrypted as it passes. Its digests are those of the plain bytes.
import { seal } from '../encryption/seal.ts'
import { type SealedBlob, sealedBytes } from '../encryption/seal-format.ts'
import type { Body } from './object-store.ts'
import { BodyLengthWrong } from './stripe-source.ts'

/** `body` as the bytes of the blob that it becomes. */
export function encryptBody(
  body: Body,
  dataKey: Uint8Array,
  { uid, part }: Pick<SealedBlob, 'uid' | 'part'>,
): Body {
  const { bytes } = body
  return {
    bytes: sealedBytes(bytes),
    chunks: seal(measured(body), dataKey, { uid, part, plainBytes: bytes }),
    finish: () => body.finish(),
  }
}

/** The chunks of a body, no more of them than it announced. */
async function* measured({ bytes, chunks }: Body): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const chunk of chunks) {
    left -= chunk.length
    if (left < 0) throw new BodyLengthWrong('longer')
    yield chunk
  }
}
