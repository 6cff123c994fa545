// A row's value on disk: a format number, then CBOR. The replica adds the checksum around it.
// Every row kind counts its formats from 1; a number is never reused and decoding it never goes away.
import { Encoder } from 'cbor-x'

/** Plain CBOR: maps with text keys, no record extension, bytes without a tag. */
const cbor = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  tagUint8Array: false,
})

/** A row was written by a newer version of the store. */
class UnknownRowFormat extends Error {
  override readonly name = 'UnknownRowFormat'
  readonly code = 'UNKNOWN_ROW_FORMAT'
}

/** The bytes of a row. */
export function packRow(format: number, fields: object): Buffer {
  return Buffer.concat([Buffer.of(format), cbor.encode(fields)])
}

/** Fields of a row of a known format, as packRow() was given them. */
export function unpackRow<Fields>(bytes: Uint8Array, format: number, rowKind: string): Fields {
  if (bytes[0] !== format) {
    throw new UnknownRowFormat(`a row of kind ${rowKind} has the unknown format ${bytes[0]}`)
  }
  return cbor.decode(bytes.subarray(1)) as Fields
}

/** How long `fields` will be, without the format. */
export function packedBytes(fields: object): number {
  return cbor.encode(fields).length
}
