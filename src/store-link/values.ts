// Values on the link. Most are what JSON can say, and that is written and read in half of the time; all others, as keys of
// clients and fields that are undefined, go as V8 clones values.
import { deserialize, serialize } from 'node:v8'

/** No JSON begins with it, and all that V8 writes does. */
const V8_BEGIN = 0xff

/** The bytes of a value. Throws for what can not be sent at all, as functions are. */
export function writeValue(value: unknown): Buffer {
  return isJson(value) ? Buffer.from(JSON.stringify(value)) : serialize(value)
}

/** The value in the bytes, as it was. */
export function readValue(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined
  return bytes[0] === V8_BEGIN ? deserialize(bytes) : JSON.parse(bytes.toString())
}

/** Whether JSON says all of it, and nothing else. */
function isJson(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
    case 'object':
      return value === null || isJsonObject(value)
    default:
      return false
  }
}

function isJsonObject(value: object): boolean {
  if (Array.isArray(value)) {
    // What is missing in an array is undefined here, and every() would pass over it.
    for (const one of value) if (!isJson(one)) return false
    return true
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const name in value) if (!isJson(value[name as keyof typeof value])) return false
  return true
}
