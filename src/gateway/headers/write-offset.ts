// x-amz-write-offset-bytes: a PUT that goes to the end of an object instead of replacing it.

import type { Headers } from '../call.ts'
import { invalidArgument } from '../s3-error.ts'

const NAME = 'x-amz-write-offset-bytes'

/** Where the bytes of a PUT go; undefined when it makes a new object. */
export function parseWriteOffset(headers: Headers): number | undefined {
  const text = headers[NAME]
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text.trim())) return Number(text)
  throw invalidArgument(NAME, text, `${NAME} must be a number of bytes that is not negative.`)
}

/** The other headers: what refuses this one elsewhere does not see it. */
export function withoutWriteOffset({ [NAME]: _, ...others }: Headers): Headers {
  return others
}
