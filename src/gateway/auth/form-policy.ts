// The policy of a form: a signed document that says until when, where to and with which fields a form may be sent.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
import type { FormFields } from '../call.ts'
import { S3Error } from '../s3-error.ts'

/** How long the file may be. */
export interface LengthRange {
  min: number
  max: number
}

/** `text` is how the refusal shows it. */
interface FieldCondition {
  kind: 'eq' | 'starts-with'
  field: string
  value: string
  text: string
}

/** What is written like a condition and can not hold: S3 says so as of every other that does not. */
interface FailedCondition {
  kind: 'failed'
  text: string
}

type Condition = FieldCondition | FailedCondition | ({ kind: 'length' } & LengthRange)

interface Policy {
  expiresMs: number
  conditions: Condition[]
}

/** Fields that no condition need cover (pitfall 115). */
const EXEMPT = ['x-amz-signature', 'file', 'policy', 'awsaccesskeyid', 'signature']
/** A checksum allows nothing that the policy does not. */
const EXEMPT_PREFIXES = ['x-ignore-', 'x-amz-checksum-']

/**
 * Throws unless the policy allows a form with these fields (names in lower case, `bucket` among them) at `nowMs`.
 * Returns how long the file may be.
 */
export function checkPolicy(base64: string, fields: FormFields, nowMs: number): LengthRange {
  const { expiresMs, conditions } = parsePolicy(base64)
  if (expiresMs <= nowMs) throw forbidden('Policy expired.')
  const range = { min: 0, max: Number.MAX_SAFE_INTEGER }
  const covered = new Set(EXEMPT)
  for (const condition of conditions) {
    if (condition.kind === 'length') {
      range.min = Math.max(range.min, condition.min)
      range.max = Math.min(range.max, condition.max)
      continue
    }
    if (condition.kind === 'failed' || !holds(condition, fields[condition.field])) {
      throw forbidden(`Policy Condition failed: ${condition.text}`)
    }
    covered.add(condition.field)
  }
  const extra = Object.keys(fields).filter(
    (name) => !covered.has(name) && !EXEMPT_PREFIXES.some((prefix) => name.startsWith(prefix)),
  )
  if (extra.length > 0) throw forbidden(`Extra input fields: ${extra.join(', ')}`)
  return range
}

function holds({ kind, field, value }: FieldCondition, actual: string | undefined): boolean {
  // What may begin with anything may be missing.
  if (actual === undefined) return kind === 'starts-with' && value === ''
  if (kind === 'eq') return actual === value
  // A list of types begins with the prefix when each of them does.
  const items = field === 'content-type' ? actual.split(',') : [actual]
  return items.every((item) => item.startsWith(value))
}

function parsePolicy(base64: string): Policy {
  const document = parseDocument(base64)
  if (document.expiration === undefined) throw bad('Policy missing expiration.')
  if (document.conditions === undefined) throw bad('Policy missing conditions.')
  if (!Array.isArray(document.conditions)) throw bad("Invalid 'conditions' value: must be a List.")
  return {
    expiresMs: parseExpiration(document.expiration),
    conditions: document.conditions.map(parseCondition),
  }
}

function parseDocument(base64: string): { [name: string]: unknown } {
  const text = Buffer.from(base64, 'base64').toString('utf8')
  let document: unknown
  try {
    // The documentation escapes dollars, which JSON does not know.
    document = JSON.parse(
      text.replace(/\\(.)/gs, (pair, character) => (character === '$' ? '$' : pair)),
    )
  } catch (cause) {
    throw bad('Invalid JSON.', cause)
  }
  if (!isObject(document)) throw bad('Invalid JSON.')
  return document
}

function parseExpiration(value: unknown): number {
  const text = typeof value === 'string' ? value : ''
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text)
  const ms = isTime ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw bad(`Invalid 'expiration' value: '${text}'`)
  return ms
}

function parseCondition(condition: unknown): Condition {
  if (Array.isArray(condition)) return parseTriple(condition)
  if (!isObject(condition)) throw bad('Invalid Condition: must be a List or an Object.')
  const [[name, value] = [], ...others] = Object.entries(condition)
  if (name === undefined || others.length > 0) {
    throw bad(
      'Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.',
    )
  }
  if (typeof value !== 'string') {
    throw bad('Invalid Simple-Condition: value must be a string.')
  }
  const text = textOf(['eq', `$${name}`, value])
  return { kind: 'eq', field: name.toLowerCase(), value, text }
}

function parseTriple(condition: unknown[]): Condition {
  const [first, left, right] = condition
  const operator = typeof first === 'string' ? first : ''
  const kind = operator.toLowerCase()
  if (condition.length !== 3) throw bad(`Invalid ${operator}: wrong number of arguments.`)
  if (kind === 'content-length-range') return parseRange(operator, left, right)
  if (kind !== 'eq' && kind !== 'starts-with') {
    throw bad(`Invalid Condition: unknown operation '${operator}'.`)
  }
  if (typeof left !== 'string' || typeof right !== 'string') {
    throw bad(`Invalid ${kind}: the name of a field and its value are strings.`)
  }
  const text = textOf([operator, left, right])
  if (!left.startsWith('$')) return { kind: 'failed', text }
  return { kind, field: left.slice(1).toLowerCase(), value: right, text }
}

function parseRange(operator: string, min: unknown, max: unknown): Condition {
  const [from, to] = [min, max].map(parseLimit)
  if (from !== undefined && to !== undefined) return { kind: 'length', min: from, max: to }
  if (isShort(min) && isShort(max)) return { kind: 'failed', text: textOf([operator, min, max]) }
  throw bad('Invalid content-length-range: its limits are whole numbers.')
}

function parseLimit(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function isShort(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}

/** A condition as AWS writes it. */
function textOf(condition: readonly (string | number)[]): string {
  return `[${condition.map((item) => JSON.stringify(item)).join(', ')}]`
}

function isObject(value: unknown): value is { [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bad(why: string, cause?: unknown): S3Error {
  return new S3Error('InvalidPolicyDocument', {}, { message: `Invalid Policy: ${why}`, cause })
}

function forbidden(why: string): S3Error {
  return new S3Error('AccessDenied', {}, { message: `Invalid according to Policy: ${why}` })
}
