// Query parameters that the listings share (pitfalls 82, 84, 86).
import type { Query } from '../call.ts'
import { invalidArgument } from '../s3-error.ts'

/** What every listing of keys is asked. */
export interface ListParameters {
  prefix: string
  /** Empty: none. */
  delimiter: string
  encoding: 'url' | undefined
}

/** Prefix and delimiter are empty where they were not sent. Throws InvalidArgument for an `encoding-type` other than `url`. */
export function parseListParameters(query: Query): ListParameters {
  const encoding = query['encoding-type']
  if (encoding !== undefined && encoding !== 'url')
    throw invalidArgument('encoding-type', encoding, 'Invalid Encoding Method specified in Request')
  return {
    prefix: query.prefix ?? '',
    delimiter: query.delimiter ?? '',
    encoding,
  }
}

const INT_MAX = 0x7fffffff

/** max-keys, max-uploads or max-parts: at most `limit`, which is also the default. */
export function parseCount(query: Query, parameter: string, limit = 1000): number {
  return Math.min(parseInteger(query, parameter) ?? limit, limit)
}

/** A parameter that is a 32-bit number and not negative; undefined when it is absent or empty. */
export function parseInteger(query: Query, parameter: string): number | undefined {
  const text = query[parameter]
  if (!text) return undefined
  const value = /^[+-]?\d{1,12}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(value) || Math.abs(value) > INT_MAX)
    throw invalidArgument(
      parameter,
      text,
      `Provided ${parameter} not an integer or within integer range`,
    )
  if (value >= 0) return value
  const name = parameter.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
  throw invalidArgument(
    parameter,
    text,
    `Argument ${name} must be an integer between 0 and ${INT_MAX}`,
  )
}
