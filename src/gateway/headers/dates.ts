// HTTP dates: written in the one form of RFC 9110, read in the three that it allows. S3 counts whole seconds.
// Locks alone have their dates in ISO 8601.

/** Seconds and how they are written: what was written together is read together, and to format a date is dear. */
const written = new Map<number, string>()
const WRITTEN_MAX = 1024

/** A time as Last-Modified has it (pitfall 54). */
export function httpDate(ms: number): string {
  const second = Math.floor(ms / 1000)
  const known = written.get(second)
  if (known !== undefined) return known
  const text = new Date(second * 1000).toUTCString()
  if (written.size >= WRITTEN_MAX) written.clear()
  written.set(second, text)
  return text
}

// IMF-fixdate, RFC 850, asctime. Date.parse alone takes any number of things for a date.
const FORMS = [
  /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} (GMT|UTC|[+-]0000)$/,
  /^\w{6,9}, \d{2}-\w{3}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^\w{3} \w{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
]

/** Seconds since 1970; undefined when the text is no date, and a condition on it is then ignored. */
export function parseHttpDate(text: string): number | undefined {
  if (text === '') return undefined
  const trimmed = text.trim()
  const form = FORMS.findIndex((pattern) => pattern.test(trimmed))
  if (form < 0) return undefined
  const ms = Date.parse(form === 2 ? `${trimmed} GMT` : trimmed)
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000)
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/

/** Milliseconds since 1970 of an ISO 8601 time that names its zone; undefined when the text is none. */
export function parseIsoTime(text: string): number | undefined {
  const trimmed = text.trim()
  const ms = ISO_TIME.test(trimmed) ? Date.parse(trimmed) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

/** The same time written as parseIsoTime() reads it, to the millisecond. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
