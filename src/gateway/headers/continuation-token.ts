// Continuation tokens: where a listing goes on, opaque to clients and the same on every gateway (pitfall 83).
// Version, name, CRC32 of both, in base64url: a made-up or mangled token is refused instead of skipping keys.

import { crc32 } from 'node:zlib'
import { invalidArgument } from '../s3-error.ts'

const VERSION = 1
const CHECK_BYTES = 4

/** The token to continue strictly after `name`. */
export function writeToken(name: string): string {
  const body = Buffer.concat([Buffer.of(VERSION), Buffer.from(name)])
  const check = Buffer.alloc(CHECK_BYTES)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([body, check]).toString('base64url')
}

/** The name in a token; InvalidArgument when it is not one of ours. */
export function readToken(token: string): string {
  const bytes = Buffer.from(token, 'base64url')
  const body = bytes.subarray(0, -CHECK_BYTES)
  const isOurs =
    bytes.length > CHECK_BYTES &&
    body[0] === VERSION &&
    bytes.readUInt32BE(body.length) === crc32(body) &&
    bytes.toString('base64url') === token
  if (isOurs) return body.subarray(1).toString()
  throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect')
}
