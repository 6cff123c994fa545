// Bodies as clients frame them, and what must become of bad ones, for tests over the wire.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Test } from 'tap'
import { type Ask, ask, BUCKET, listed, type Wire, wantError } from './wire.ts'

export const HELLO = Buffer.from('hello')
export const PATH = `/${BUCKET}/hostile`

/** base64 of digests of `hello`, and of nothing. */
export const RIGHT = {
  crc32: 'NhCmhg==',
  crc64nvme: 'M3eFcAZSQlc=',
  sha1: createHash('sha1').update('hello').digest('base64'),
}
export const WRONG_CRC32 = 'AAAAAA=='

/** A PUT that must be refused. */
export interface Hostile {
  name: string
  ask: Ask
  status?: number
  code: string
  elements?: Record<string, string | true>
  /** The client says that no more bytes come. */
  end?: boolean
}

export async function refuseAll(t: Test, wire: Wire, cases: readonly Hostile[]): Promise<void> {
  for (const { name, ask: wanted, status = 400, code, elements, end = false } of cases) {
    const answer = await ask(wire, { method: 'PUT', path: PATH, ...wanted }, { end })
    wantError(t, answer, status, code, elements, name)
  }
  t.same(await listed(wire), [], 'nothing is stored')
  t.equal((await ask(wire, { path: PATH })).status, 404)
}

/** A body framed without signatures: chunks, then trailers as they stand. */
export function framed(chunks: readonly (string | Uint8Array)[], trailers = ''): Buffer {
  const frames = chunks.map((chunk) => {
    const bytes = Buffer.from(chunk)
    return Buffer.concat([
      Buffer.from(`${bytes.length.toString(16)}\r\n`),
      bytes,
      Buffer.from('\r\n'),
    ])
  })
  return Buffer.concat([...frames, Buffer.from(`0\r\n${trailers}\r\n`)])
}

/** x-amz-content-sha256 of chunks without signatures. */
export const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'

/** CRC32 in base64. */
export function crcOf(bytes: Uint8Array): string {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(crc32(bytes))
  return value.toString('base64')
}

/** A PUT of `chunks` as boto3 frames them, with the checksum behind. */
export function putFramed(chunks: readonly Buffer[]): Ask {
  const whole = Buffer.concat(chunks)
  return {
    ...{ method: 'PUT', path: PATH, payload: UNSIGNED_TRAILER },
    headers: {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(whole.length),
      'x-amz-trailer': 'x-amz-checksum-crc32',
    },
    body: framed(chunks, `x-amz-checksum-crc32:${crcOf(whole)}\r\n`),
  }
}
