// What becomes of an object when bytes are put at its end: its ETag, its checksum and, where versions are kept and
// the bytes are written anew, its body.
import { type CrcName, combineCrc } from '../digest/combine.ts'
import { digestOf, newDigest } from '../digest/digest.ts'
import type { Checksum, ObjectVersion, Part } from '../metadata/records.ts'
import type { AppendRequest, Body, StoredObject } from './object-store.ts'

/** What is known of the bytes to be appended. */
type Appended = Pick<Part, 'bytes' | 'etag' | 'checksum'>

/**
 * The ETag after an append: of the form of multipart ETags, made of the ETag before and that of the new bytes, so
 * that its cost does not grow with the object.
 */
export function appendedEtag(before: ObjectVersion, part: Appended, partCount: number): string {
  const digest = digestOf('MD5', Buffer.from(`${before.etag} ${part.etag}`))
  return `${Buffer.from(digest).toString('hex')}-${partCount}`
}

/** The checksum of all bytes, where it follows from the two: CRCs of one kind. */
export function appendedChecksum(before: ObjectVersion, part: Appended): Checksum | undefined {
  const { checksum } = part
  if (before.bytes === 0) return checksum
  const name = crcOf(before.checksum)
  if (name === undefined || !before.checksum || checksum?.algorithm !== name) return undefined
  const value = combineCrc(name, bytesOf(before.checksum), bytesOf(checksum), part.bytes)
  return { ...before.checksum, value: Buffer.from(value).toString('base64') }
}

/** All bytes of the object, then the new ones, under digests of the whole. */
export function appendedBody(object: StoredObject, request: AppendRequest): Body {
  const { body, signal, customerKey } = request
  const { bytes, checksum } = object.version
  const md5 = newDigest('MD5')
  const algorithm = crcOf(checksum) ?? 'CRC64NVME'
  const crc = newDigest(algorithm)
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const all = [
      ...(bytes === 0 ? [] : [object.read({ first: 0, last: bytes - 1 }, signal, customerKey)]),
      body.chunks,
    ]
    for (const source of all) {
      for await (const chunk of source) {
        md5.update(chunk)
        crc.update(chunk)
        yield chunk
      }
    }
  }
  return {
    bytes: bytes + body.bytes,
    chunks: chunks(),
    finish: () => {
      body.finish()
      const value = Buffer.from(crc.digest()).toString('base64')
      return {
        md5: Buffer.from(md5.digest()).toString('hex'),
        checksum: { algorithm, type: 'FULL_OBJECT', value },
      }
    },
  }
}

function crcOf(checksum: Checksum | undefined): CrcName | undefined {
  if (checksum?.type !== 'FULL_OBJECT') return undefined
  const { algorithm } = checksum
  return algorithm === 'CRC32' || algorithm === 'CRC32C' || algorithm === 'CRC64NVME'
    ? algorithm
    : undefined
}

function bytesOf({ value }: Checksum): Uint8Array {
  return Buffer.from(value, 'base64')
}
