// Digests of byte streams under one interface, whatever computes them:
// OpenSSL for MD5 and SHA, zlib for CRC32, WebAssembly of our own for the other CRCs, and hash-wasm for xxHash.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { newWasmHash, type WasmHashName } from './wasm-hash.ts'
import { newWideCrc, type WideCrcName } from './wide-crc.ts'

/** Every digest that S3 asks for. */
export type DigestName = 'MD5' | 'SHA1' | 'SHA256' | 'SHA512' | 'CRC32' | WideCrcName | WasmHashName

/** Takes bytes as they pass. After digest() it is used up. */
export interface Digest {
  update(bytes: Uint8Array): void
  /** The digest, big-endian, as S3 writes it in base64. */
  digest(): Uint8Array
}

export { newLongMd5 } from './long-md5.ts'
export { prepareDigests } from './prepare.ts'

/** A new digest of nothing yet. prepareDigests() must have resolved once before. */
export function newDigest(name: DigestName): Digest {
  return makers[name]()
}

/** The digest of `bytes`, big-endian. */
export function digestOf(name: DigestName, bytes: Uint8Array): Uint8Array {
  const digest = newDigest(name)
  digest.update(bytes)
  return digest.digest()
}

const makers: { [Name in DigestName]: () => Digest } = {
  MD5: () => newOpensslDigest('md5'),
  SHA1: () => newOpensslDigest('sha1'),
  SHA256: () => newOpensslDigest('sha256'),
  SHA512: () => newOpensslDigest('sha512'),
  CRC32: newZlibCrc,
  CRC32C: () => newWideCrc('CRC32C'),
  CRC64NVME: () => newWideCrc('CRC64NVME'),
  XXHASH64: () => newWasmHash('XXHASH64'),
  XXHASH3: () => newWasmHash('XXHASH3'),
  XXHASH128: () => newWasmHash('XXHASH128'),
}

function newOpensslDigest(algorithm: 'md5' | 'sha1' | 'sha256' | 'sha512'): Digest {
  const hash = createHash(algorithm)
  return {
    update: (bytes) => {
      hash.update(bytes)
    },
    digest: () => hash.digest(),
  }
}

function newZlibCrc(): Digest {
  let value = 0
  return {
    update: (bytes) => {
      value = crc32(bytes, value)
    },
    digest: () => {
      const result = Buffer.alloc(4)
      result.writeUInt32BE(value)
      return result
    },
  }
}
