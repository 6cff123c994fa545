// What the header of a shard says of the object that its blob was written for, beside bucket and key: enough to make a
// row again when all metadata is lost. Format: docs/formats/shard.md, Label.
import { Encoder } from 'cbor-x'
import { assert } from '../kit/assert.ts'
import { asBuffer } from '../kit/bytes.ts'
import { type Uid, uidBytes, uidFromBytes } from '../kit/uid.ts'
import {
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type ChecksumAlgorithm,
  type ChecksumType,
  type Encryption,
  type ObjectAttributes,
} from './records.ts'
import { type PackedEncryption, packEncryption, unpackEncryption } from './rows/encryption-field.ts'
import { addAttributes, type PackedAttributes, unpackAttributes } from './rows/fields.ts'

/** What a blob was written as. */
export type LabelRole =
  /** `versioned`: its bucket kept versions. */
  | { kind: 'object'; versioned: boolean }
  /** With what Create declared of checksums. */
  | {
      kind: 'part'
      uploadId: Uid
      checksumAlgorithm?: ChecksumAlgorithm
      checksumType?: ChecksumType
    }
  /** Put behind the `offset` bytes of an object with the ETag `after`. */
  | { kind: 'append'; offset: number; after: string }
  /** `of`: the first blob, or the upload, of its version; absent when that has no bytes. */
  | { kind: 'annotation'; name: string; of?: Uid }

/** What is known only when all bytes have passed. */
export interface LabelFacts {
  /** As clients see it: 32 hex digits. */
  etag: string
  checksum?: Checksum
}

/** Everything that a header says. */
export interface Label {
  role: LabelRole
  /** The uid that the bytes were written under first, if that is another one by now. */
  origin?: Uid
  /** Absent where they had no room. */
  attributes?: ObjectAttributes
  encryption?: Encryption
  /** Absent when the blob was never finished. */
  facts?: LabelFacts
}

/** A header holds 64 KiB in all: attributes beyond this are left out, but never the key, without which bytes are nothing. */
const ATTRIBUTES_BYTES_MAX = 48 * 1024

/** Raw bytes of a checksum that has room: SHA-512 has not. */
const CHECKSUM_ROOM_BYTES = 32
const ETAG_BYTES = 16
/** Whether it is sealed, ETag, algorithm, type, length of the checksum, checksum. */
const FACTS_BYTES = 1 + ETAG_BYTES + 3 + CHECKSUM_ROOM_BYTES

const RoleNumber = { object: 1, part: 2, append: 3, annotation: 4 } as const

/** Facts come last and are always as long, so that they can be filled in at the end. */
interface PackedLabel extends PackedAttributes {
  q: number
  v?: true
  i?: Uint8Array
  y?: [ChecksumAlgorithm?, ChecksumType?]
  a?: [number, string]
  n?: string
  f?: Uint8Array
  /** No room was left for attributes. */
  o?: true
  x?: PackedEncryption
  /** The first uid of bytes that were written anew. */
  w?: Uint8Array
  z: Uint8Array
}

const cbor = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  tagUint8Array: false,
})

/** What a label says from the beginning. */
interface Labelled {
  role: LabelRole
  attributes?: ObjectAttributes | undefined
  encryption?: Encryption | undefined
}

/** The bytes of a label whose facts are not known yet. */
export function encodeLabel({ role, attributes, encryption }: Labelled): Uint8Array {
  const packed = packRole(role) as PackedLabel
  if (attributes) addAttributes(packed, attributes)
  else packed.o = true
  if (encryption) packed.x = packEncryption(encryption)
  packed.z = Buffer.alloc(FACTS_BYTES)
  const bytes = cbor.encode(packed)
  const isTooLong = attributes !== undefined && bytes.length > ATTRIBUTES_BYTES_MAX
  return isTooLong ? encodeLabel({ role, encryption }) : bytes
}

/** The label with its facts: as long as before. */
export function sealLabel(label: Uint8Array, { etag, checksum }: LabelFacts): Uint8Array {
  const sealed = Buffer.from(label)
  const facts = sealed.subarray(sealed.length - FACTS_BYTES)
  assert(/^[0-9a-f]{32}$/.test(etag), 'the ETag of a blob has 32 digits')
  facts[0] = 1
  facts.write(etag, 1, 'hex')
  const value = checksum && Buffer.from(checksum.value, 'base64')
  if (!checksum || !value || value.length > CHECKSUM_ROOM_BYTES) return sealed
  facts[1 + ETAG_BYTES] = 1 + CHECKSUM_ALGORITHMS.indexOf(checksum.algorithm)
  facts[2 + ETAG_BYTES] = checksum.type === 'COMPOSITE' ? 1 : 0
  facts[3 + ETAG_BYTES] = value.length
  facts.set(value, 4 + ETAG_BYTES)
  return sealed
}

/** The label of bytes that are written anew under another uid; as it is when this program does not know it. */
export function labelAnew(bytes: Uint8Array, origin: Uid): Uint8Array {
  const packed = bytes.length < FACTS_BYTES ? undefined : decodePacked(bytes)
  if (!packed || !unpackRole(packed)) return bytes
  const { z, w: _, ...said } = packed
  return cbor.encode({ ...said, w: uidBytes(origin), z: Buffer.from(z) } satisfies PackedLabel)
}

/** The label in a header; undefined when it has none that this program knows. */
export function decodeLabel(bytes: Uint8Array): Label | undefined {
  if (bytes.length < FACTS_BYTES) return undefined
  const packed = decodePacked(bytes)
  const role = packed && unpackRole(packed)
  if (!packed || !role) return undefined
  const facts = unpackFacts(asBuffer(packed.z))
  return {
    role,
    ...(packed.w ? { origin: uidFromBytes(packed.w) } : {}),
    ...(packed.o ? {} : { attributes: unpackAttributes(packed) }),
    ...(packed.x ? { encryption: unpackEncryption(packed.x) } : {}),
    ...(facts ? { facts } : {}),
  }
}

function packRole(role: LabelRole): Omit<PackedLabel, 'z'> {
  const q = RoleNumber[role.kind]
  switch (role.kind) {
    case 'object':
      return role.versioned ? { q, v: true } : { q }
    case 'part': {
      const { checksumAlgorithm, checksumType } = role
      const declared = checksumAlgorithm ? { y: [checksumAlgorithm, checksumType] as const } : {}
      return { q, i: uidBytes(role.uploadId), ...declared } as Omit<PackedLabel, 'z'>
    }
    case 'append':
      return { q, a: [role.offset, role.after] }
    case 'annotation':
      return { q, n: role.name, ...(role.of ? { f: uidBytes(role.of) } : {}) }
  }
}

function unpackRole(packed: PackedLabel): LabelRole | undefined {
  const { q, v, i, y = [], a, n, f } = packed
  if (q === RoleNumber.object) return { kind: 'object', versioned: v === true }
  if (q === RoleNumber.append && a) return { kind: 'append', offset: a[0], after: a[1] }
  if (q === RoleNumber.annotation && n !== undefined)
    return { kind: 'annotation', name: n, ...(f ? { of: uidFromBytes(f) } : {}) }
  if (q !== RoleNumber.part || !i) return undefined
  const [checksumAlgorithm, checksumType] = y
  return {
    kind: 'part',
    uploadId: uidFromBytes(i),
    ...(checksumAlgorithm ? { checksumAlgorithm } : {}),
    ...(checksumType ? { checksumType } : {}),
  }
}

function unpackFacts(facts: Buffer): LabelFacts | undefined {
  if (facts.length !== FACTS_BYTES || facts[0] !== 1) return undefined
  const etag = facts.toString('hex', 1, 1 + ETAG_BYTES)
  const algorithm = CHECKSUM_ALGORITHMS[facts[1 + ETAG_BYTES]! - 1]
  if (!algorithm) return { etag }
  const from = 4 + ETAG_BYTES
  const value = facts.toString('base64', from, from + facts[3 + ETAG_BYTES]!)
  const type = facts[2 + ETAG_BYTES] === 1 ? 'COMPOSITE' : 'FULL_OBJECT'
  return { etag, checksum: { algorithm, type, value } }
}

/** The header has a checksum, so what does not decode was written by something else. */
function decodePacked(bytes: Uint8Array): PackedLabel | undefined {
  try {
    const packed = cbor.decode(bytes) as PackedLabel | undefined
    return packed?.z instanceof Uint8Array ? packed : undefined
  } catch {
    return undefined
  }
}
