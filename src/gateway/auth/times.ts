// Times as signatures write them.

/** `20130524T000000Z` in milliseconds since 1970; undefined when it is no such time. */
export function parseBasicTime(text: string): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (parts === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1)
    .map(Number)
  const ms = Date.UTC(year, month - 1, day, hour, minute, second)
  return formatBasicTime(ms) === text ? ms : undefined
}

/** Milliseconds since 1970 as `20130524T000000Z`. */
export function formatBasicTime(ms: number): string {
  return formatIsoTime(ms).replace(/[-:]/g, '')
}

/** Milliseconds since 1970 as `2013-05-24T00:00:00Z`. */
export function formatIsoTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
