// Bodies that loads send: random bytes, hashed once, so that signing costs the generator nothing while time counts.
import { digestOf } from '../digest/digest.ts'
import { mebibytes } from '../kit/bytes.ts'
import type { Random } from '../kit/world.ts'
import type { Payloads } from './scripts.ts'
import type { Payload } from './signer.ts'

/** All bodies of a process together. */
const BYTES_MAX = mebibytes(40)

/** More than that says nothing more. */
const COUNT_MAX = 256

/** As much as a system's generator gives at once. */
const DRAWN_BYTES_MAX = 65_536

/** Bodies of `bytes` each, one after the other and then again. */
export function makePayloads(bytes: number, random: Random): Payloads {
  const count = Math.max(1, Math.min(COUNT_MAX, Math.floor(BYTES_MAX / bytes)))
  const payloads = Array.from({ length: count }, () => hashed(drawn(bytes, random)))
  let next = 0
  return {
    next: () => payloads[next++ % count]!,
    of: (text) => {
      const body = Buffer.from(text, 'utf8')
      return { ...hashed(body), md5: Buffer.from(digestOf('MD5', body)).toString('base64') }
    },
  }
}

function hashed(bytes: Uint8Array): Payload {
  return { bytes, sha256: Buffer.from(digestOf('SHA256', bytes)).toString('hex') }
}

function drawn(bytes: number, random: Random): Uint8Array {
  const body = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += DRAWN_BYTES_MAX)
    body.set(random.bytes(Math.min(DRAWN_BYTES_MAX, bytes - at)), at)
  return body
}
