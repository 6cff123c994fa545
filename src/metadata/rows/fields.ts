// Shapes that several row kinds share, packed with short names: a listing reads a thousand rows at a time.
// The meaning of every name is in docs/formats/rows.md.
import { asBuffer } from '../../kit/bytes.ts'
import type { MatrixId } from '../../kit/erasure-code.ts'
import { uidBytes, uidFromBytes } from '../../kit/uid.ts'
import type {
  Blob,
  Checksum,
  ChecksumAlgorithm,
  ChecksumType,
  ObjectAttributes,
  Retention,
  SystemHeaders,
  Tag,
} from '../records.ts'

/** Hex digits as bytes, anything else as it is. */
export type PackedHex = Uint8Array | string

/** `text` at half its length when it is lower-case hex. */
export function packHex(text: string): PackedHex {
  return /^(?:[0-9a-f]{2})+$/.test(text) ? Buffer.from(text, 'hex') : text
}

/** The text that packHex() was given. */
export function unpackHex(packed: PackedHex): string {
  return typeof packed === 'string' ? packed : asBuffer(packed).toString('hex')
}

/** Algorithm, type, value. */
export type PackedChecksum = [ChecksumAlgorithm, ChecksumType, string]

/** A checksum as it lies in a row. */
export function packChecksum({ algorithm, type, value }: Checksum): PackedChecksum {
  return [algorithm, type, value]
}

/** The checksum that packChecksum() was given. */
export function unpackChecksum([algorithm, type, value]: PackedChecksum): Checksum {
  return { algorithm, type, value }
}

/** A blob; `p` is left out when 0, `o` is the drive of every slot, `w` the uid that it was written under first. */
export interface PackedBlob {
  u: Uint8Array
  w?: Uint8Array
  p?: number
  b: number
  c: [number, number, number]
  s: number
  d: number
  o: number[]
}

/** A blob as it lies in a row. */
export function packBlob(blob: Blob): PackedBlob {
  const { dataCount, parityCount, matrix } = blob.code
  const packed: Partial<PackedBlob> = { u: uidBytes(blob.uid) }
  if (blob.origin) packed.w = uidBytes(blob.origin)
  if (blob.part !== 0) packed.p = blob.part
  packed.b = blob.bytes
  packed.c = [dataCount, parityCount, matrix]
  packed.s = blob.cellBytes
  packed.d = blob.partition
  packed.o = blob.drives
  return packed as PackedBlob
}

/** The blob that packBlob() was given. */
export function unpackBlob(packed: PackedBlob): Blob {
  const [dataCount, parityCount, matrix] = packed.c
  const blob: Blob = {
    uid: uidFromBytes(packed.u),
    part: packed.p ?? 0,
    bytes: packed.b,
    code: { dataCount, parityCount, matrix: matrix as MatrixId },
    cellBytes: packed.s,
    partition: packed.d,
    drives: packed.o,
  }
  if (packed.w) blob.origin = uidFromBytes(packed.w)
  return blob
}

/**
 * `h` is headers by their short names, `u` user metadata as name, value, name, value, …, `g` tags likewise, `r` mode
 * and end of the retention, `l` the legal hold; empty ones are left out.
 */
export interface PackedAttributes {
  h?: Record<string, string>
  u?: string[]
  s?: string
  g?: string[]
  r?: [Retention['mode'], number]
  l?: boolean
}

const HEADER_NAMES: { [Name in keyof Required<SystemHeaders>]: string } = {
  contentType: 'ct',
  cacheControl: 'cc',
  contentDisposition: 'cd',
  contentEncoding: 'ce',
  contentLanguage: 'cl',
  expires: 'ex',
  websiteRedirectLocation: 'wr',
}

const HEADER_ENTRIES = Object.entries(HEADER_NAMES) as [keyof SystemHeaders, string][]

const USUAL_STORAGE_CLASS = 'STANDARD'

/** What a client says of an object, as it lies in a row. */
export function packAttributes(attributes: ObjectAttributes): PackedAttributes {
  const packed: PackedAttributes = {}
  addAttributes(packed, attributes)
  return packed
}

/** The same behind what `packed` has already. */
export function addAttributes(packed: PackedAttributes, attributes: ObjectAttributes): void {
  const headers = packHeaders(attributes.headers)
  const metadata = Object.entries(attributes.userMetadata).flat()
  const { tags, retention, legalHold } = attributes
  if (headers) packed.h = headers
  if (metadata.length > 0) packed.u = metadata
  if (attributes.storageClass !== USUAL_STORAGE_CLASS) packed.s = attributes.storageClass
  if (tags) packed.g = tags.flatMap(({ key, value }) => [key, value])
  if (retention) packed.r = [retention.mode, retention.untilMs]
  if (legalHold !== undefined) packed.l = legalHold
}

/** What packAttributes() was given. */
export function unpackAttributes(packed: PackedAttributes): ObjectAttributes {
  const attributes: ObjectAttributes = {
    headers: unpackHeaders(packed.h ?? {}),
    userMetadata: unpackMetadata(packed.u ?? []),
    storageClass: packed.s ?? USUAL_STORAGE_CLASS,
  }
  if (packed.g) attributes.tags = unpackTags(packed.g)
  if (packed.r) attributes.retention = { mode: packed.r[0], untilMs: packed.r[1] }
  if (packed.l !== undefined) attributes.legalHold = packed.l
  return attributes
}

function packHeaders(headers: SystemHeaders): Record<string, string> | undefined {
  let packed: Record<string, string> | undefined
  for (const [name, short] of HEADER_ENTRIES) {
    const value = headers[name]
    if (value === undefined) continue
    packed ??= {}
    packed[short] = value
  }
  return packed
}

function unpackHeaders(packed: Record<string, string>): SystemHeaders {
  const headers: SystemHeaders = {}
  for (const [name, short] of HEADER_ENTRIES) {
    const value = packed[short]
    if (value !== undefined) headers[name] = value
  }
  return headers
}

function unpackMetadata(flat: string[]): Record<string, string> {
  // fromEntries() also keeps a name like __proto__.
  return Object.fromEntries(unflatten(flat))
}

function unpackTags(flat: string[]): Tag[] {
  return unflatten(flat).map(([key, value]) => ({ key, value }))
}

function unflatten(flat: string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index + 1 < flat.length; index += 2) {
    pairs.push([flat[index]!, flat[index + 1]!])
  }
  return pairs
}
