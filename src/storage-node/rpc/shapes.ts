// What comes from another process is unknown until it was looked at: shapes say what it has to be, field by field.
// A shape does not compile once its type has another field than it knows.
import { parseUid, type Uid } from '../../kit/uid.ts'
import { BadMessage } from './trouble.ts'

/** What is done about fields that this version does not know: a request must not be half understood. */
export type UnknownFields = 'refused' | 'ignored'

/**
 * `found` as a value of the type, in memory of its own and with no other fields than the type has. Throws BadMessage where it
 * is none. Records and texts may come as Map, as CBOR gives them.
 */
export type Shape<Value> = (found: unknown, unknownFields: UnknownFields) => Value

/** A field that may be absent. */
export interface Optional<Value> {
  optional: Shape<Value>
}

type Fields<Value> = {
  [Name in keyof Value]-?: Record<never, never> extends Pick<Value, Name>
    ? Optional<Exclude<Value[Name], undefined>>
    : Shape<Value[Name]>
}

/** A field that may be absent. */
export function optional<Value>(shape: Shape<Value>): Optional<Value> {
  return { optional: shape }
}

/** A text, which may be empty. */
export const text: Shape<string> = (found) => {
  if (typeof found !== 'string') throw new BadMessage('a text is none')
  return found
}

/** True or false, and no number for them. */
export const flag: Shape<boolean> = (found) => {
  if (typeof found !== 'boolean') throw new BadMessage('a flag is none')
  return found
}

/** A finite number. */
export const number: Shape<number> = (found) => {
  if (typeof found !== 'number' || !Number.isFinite(found)) throw new BadMessage('a number is none')
  return found
}

/** A whole number, not negative. */
export const count: Shape<number> = (found) => {
  if (!Number.isSafeInteger(found) || (found as number) < 0) throw new BadMessage('a count is none')
  return found as number
}

/** A count up to `max`. */
export function countUpTo(max: number): Shape<number> {
  return (found, unknownFields) => {
    const value = count(found, unknownFields)
    if (value > max) throw new BadMessage(`${value} is more than ${max}`)
    return value
  }
}

/** Bytes, copied: those that came may be lent. */
export const bytes: Shape<Uint8Array> = (found) => {
  if (!(found instanceof Uint8Array)) throw new BadMessage('bytes are none')
  return Buffer.from(found)
}

/** A uid as text. */
export const uid: Shape<Uid> = (found, unknownFields) => {
  const parsed = parseUid(text(found, unknownFields))
  if (parsed === undefined) throw new BadMessage('a uid is none')
  return parsed
}

/** Just this. */
export function just<const Value extends string | number | boolean | undefined>(
  value: Value,
): Shape<Value> {
  return (found) => {
    if (found !== value) throw new BadMessage(`something is not ${value}`)
    return value
  }
}

/** One of these. */
export function choice<const Value extends string | number>(
  values: readonly Value[],
): Shape<Value> {
  return (found) => {
    const value = values.find((one) => one === found)
    if (value === undefined) throw new BadMessage('a choice is none of those that are known')
    return value
  }
}

/** What `shape` says, or undefined. */
export function orUndefined<Value>(shape: Shape<Value>): Shape<Value | undefined> {
  return (found, unknownFields) => (found === undefined ? undefined : shape(found, unknownFields))
}

/** What `shape` says, or the text. */
export function orText<Value, const Text extends string>(
  shape: Shape<Value>,
  other: Text,
): Shape<Value | Text> {
  return (found, unknownFields) => (found === other ? other : shape(found, unknownFields))
}

/** A list of any length; every one in it is of that shape. */
export function list<Value>(shape: Shape<Value>): Shape<Value[]> {
  return (found, unknownFields) => {
    if (!Array.isArray(found)) throw new BadMessage('a list is none')
    return Array.from(found, (one) => shape(one, unknownFields))
  }
}

/** A list that is not empty. */
export function some<Value>(shape: Shape<Value>): Shape<Value[]> {
  const all = list(shape)
  return (found, unknownFields) => {
    const values = all(found, unknownFields)
    if (values.length === 0) throw new BadMessage('a list is empty')
    return values
  }
}

/** Texts by names of all kinds. */
export const texts: Shape<Record<string, string>> = (found, unknownFields) => {
  // fromEntries() also keeps a name like __proto__.
  return Object.fromEntries(
    Array.from(mapOf(found), ([name, value]) => [
      text(name, unknownFields),
      text(value, unknownFields),
    ]),
  )
}

/** A record of these fields. */
export function record<Value extends object>(fields: Fields<Value>): Shape<Value> {
  const shapes = Object.entries(fields) as [string, Shape<unknown> | Optional<unknown>][]
  return (found, unknownFields) => {
    const map = mapOf(found)
    const value: Record<string, unknown> = {}
    let known = 0
    for (const [name, shape] of shapes) {
      const field = map.get(name)
      if (field !== undefined || map.has(name)) known += 1
      if (typeof shape === 'function') value[name] = shape(field, unknownFields)
      else if (field !== undefined) value[name] = shape.optional(field, unknownFields)
    }
    if (known < map.size && unknownFields === 'refused') {
      throw new BadMessage('a record has fields that are not known')
    }
    return value as Value
  }
}

/** One of several records, which the field `tag` tells apart. */
export function variants<Value extends object, Tag extends keyof Value & string>(
  tag: Tag,
  shapes: { [Name in Value[Tag] & string]: Shape<Extract<Value, Record<Tag, Name>>> },
): Shape<Value> {
  const known = new Map(Object.entries<Shape<Value>>(shapes))
  return (found, unknownFields) => {
    const name = mapOf(found).get(tag)
    const shape = typeof name === 'string' ? known.get(name) : undefined
    if (shape === undefined) throw new BadMessage(`a record has a ${tag} that is not known`)
    return shape(found, unknownFields)
  }
}

/** Whether a record has the field. */
export function hasField(found: unknown, name: string): boolean {
  return mapOf(found).has(name)
}

/** Fields by their names. */
function mapOf(found: unknown): Map<unknown, unknown> {
  if (found instanceof Map) return found
  if (typeof found === 'object' && found !== null && !Array.isArray(found)) {
    return new Map(Object.entries(found))
  }
  throw new BadMessage('a record is none')
}
