// response-content-type and its kind: a signed GET or HEAD may choose headers of its answer (pitfalls 25, 78).
import type { Identity, Query } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'

const PREFIX = 'response-'
const NONE: Readonly<Record<string, string>> = {}

const OVERRIDES: Readonly<Record<string, string>> = {
  'response-content-type': 'content-type',
  'response-content-language': 'content-language',
  'response-expires': 'expires',
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
}

/** The headers that the query asks for. */
export function parseResponseOverrides(
  query: Query,
  identity: Identity,
): Readonly<Record<string, string>> {
  if (!hasOverrides(query)) return NONE
  refuseOthers(query)
  const asked = Object.keys(OVERRIDES).filter((parameter) => query[parameter])
  if (asked.length > 0 && identity.kind === 'anonymous')
    throw new S3Error(
      'InvalidRequest',
      {},
      { message: 'Request specific response headers cannot be used for anonymous GET requests.' },
    )
  return Object.fromEntries(
    asked.map((parameter) => [OVERRIDES[parameter]!, checked(parameter, query[parameter]!)]),
  )
}

function hasOverrides(query: Query): boolean {
  for (const name in query) if (name.startsWith(PREFIX)) return true
  return false
}

// A client that asks for another header would take what it gets for what it wanted.
function refuseOthers(query: Query): void {
  const name = Object.keys(query).find((name) => name.startsWith(PREFIX) && !OVERRIDES[name])
  if (name === undefined) return
  const message = `${name} is not in the set of overridable response headers. Please refer to the S3 API documentation for a complete list of overridable response headers.`
  throw invalidArgument(name, query[name] ?? '', message)
}

// Also keeps line breaks out of the head of the answer.
function checked(parameter: string, value: string): string {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return value
  throw new S3Error(
    'InvalidArgument',
    { ArgumentName: parameter, ArgumentValue: value },
    { message: 'Header value cannot be represented using ISO-8859-1.' },
  )
}
