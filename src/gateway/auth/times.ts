// Times as signatures write them.

// What was read and written last: the requests of a second, and all questions about one request, are about the same time.
let lastRead = { text: '', ms: Number.NaN }
let lastWritten = { ms: Number.NaN, text: '' }

/** `20130524T000000Z` in milliseconds since 1970; undefined when it is no such time. */
export function parseBasicTime(text: string): number | undefined {
  if (text === lastRead.text && text !== '') return lastRead.ms
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (parts === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1)
    .map(Number)
  const ms = Date.UTC(year, month - 1, day, hour, minute, second)
  if (formatBasicTime(ms) !== text) return undefined
  lastRead = { text, ms }
  return ms
}

/** Milliseconds since 1970 as `20130524T000000Z`. */
export function formatBasicTime(ms: number): string {
  if (ms !== lastWritten.ms) lastWritten = { ms, text: formatIsoTime(ms).replace(/[-:]/g, '') }
  return lastWritten.text
}

/** Milliseconds since 1970 as `2013-05-24T00:00:00Z`. */
export function formatIsoTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
