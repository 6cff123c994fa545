// Errors of the store as its workers hear them: who catches them knows them by their `code`, and by some fields of theirs.

/** An error on its way. */
export interface ToldError {
  name: string
  message: string
  stack?: string
  fields: Record<string, unknown>
}

/** What is told of an error; fields that are no plain values stay behind. */
export function tellError(error: unknown): ToldError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), fields: {} }
  const { name, message, stack } = error
  const plain = Object.entries(error).filter(([key, value]) => key !== 'name' && isPlain(value))
  // Node's own errors have a code, too, and some have it behind a getter.
  const { code } = error as { code?: unknown }
  const fields = { ...(isPlain(code) ? { code } : {}), ...Object.fromEntries(plain) }
  return { name, message, ...(stack === undefined ? {} : { stack }), fields }
}

/** The error again. */
export function hearError({ name, message, stack, fields }: ToldError): Error {
  const error = new Error(message)
  return Object.assign(error, { name, ...(stack === undefined ? {} : { stack }), ...fields })
}

function isPlain(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}
