// CBOR of what processes of a cluster say to each other, written and read in one way.
import { Encoder } from 'cbor-x'
import type { Shape, UnknownFields } from './shapes.ts'
import { BadMessage } from './trouble.ts'

/** Maps come back as Map, so that a name of user metadata may be any. */
export const cbor = new Encoder({
  useRecords: false,
  mapsAsObjects: false,
  variableMapSize: true,
  tagUint8Array: false,
})

/** What the CBOR in `bytes` holds, of that shape. Throws BadMessage. */
export function unpack<Value>(
  bytes: Uint8Array,
  shape: Shape<Value>,
  unknownFields: UnknownFields,
): Value {
  return shape(decode(bytes), unknownFields)
}

function decode(bytes: Uint8Array): unknown {
  try {
    return cbor.decode(bytes)
  } catch (error) {
    throw new BadMessage(`CBOR can not be read: ${String(error)}`)
  }
}
