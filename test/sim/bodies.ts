// Bodies whose bytes follow from a number, so that every byte that is read can be told to be right.
import { createHash } from 'node:crypto'
import type { Body } from '../../src/objects/object-store.ts'
import { Seeded } from '../support/seeded.ts'

/** What was written: pieces, each of which is a body or a part. */
export interface Content {
  /** As S3 shows it, without quotes. */
  etag: string
  pieces: readonly Piece[]
  bytes: number
}

/** The bytes of one body. */
export interface Piece {
  number: number
  bytes: number
}

const POOL = new Seeded(20_26).bytes(1024 * 1024)

/** The content of one body. Its ETag stands for a digest: the store takes the client's word for it here. */
export function contentOf(piece: Piece): Content {
  return { etag: etagOf(piece), pieces: [piece], bytes: piece.bytes }
}

/** The content of an object made of parts. */
export function contentOfParts(pieces: readonly Piece[]): Content {
  const digests = Buffer.concat(pieces.map((piece) => Buffer.from(etagOf(piece), 'hex')))
  const etag = `${createHash('md5').update(digests).digest('hex')}-${pieces.length}`
  return { etag, pieces, bytes: pieces.reduce((sum, { bytes }) => sum + bytes, 0) }
}

/** 32 hex digits that no other piece has. */
export function etagOf({ number, bytes }: Piece): string {
  return number.toString(16).padStart(16, '0') + bytes.toString(16).padStart(16, '0')
}

/** A body as the gateway would hand it in. */
export function bodyOf(piece: Piece): Body {
  const bytes = bytesOf(piece)
  return {
    bytes: bytes.length,
    chunks: chunksOf(bytes),
    finish: () => ({ md5: etagOf(piece) }),
  }
}

/** All bytes of a content. */
export function bytesOfContent({ pieces }: Content): Buffer {
  return pieces.length === 1 ? bytesOf(pieces[0]!) : Buffer.concat(pieces.map(bytesOf))
}

function bytesOf({ number, bytes }: Piece): Buffer {
  const from = (number * 4099) % (POOL.length - bytes)
  const made = Buffer.from(POOL.subarray(from, from + bytes))
  if (bytes >= 4) made.writeUInt32LE(number, 0)
  return made
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}
