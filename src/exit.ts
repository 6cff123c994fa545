// How the process ends: a code that scripts can tell apart and one sentence for people.

/** 1 unexpected, 2 usage or configuration, 3 port or directory in use, 4 a foreign drive or too many missing, 5 not whole, or not empty. */
export type ExitCode = 1 | 2 | 3 | 4 | 5

/** Ends the program with `code` and this sentence. */
export class Exit extends Error {
  override readonly name = 'Exit'
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, sentence: string, options?: { cause?: unknown }) {
    super(sentence, options)
    this.exitCode = exitCode
  }
}

/** The options that say where: by the one that names the port. */
const WHERE = {
  '--port': '--address and --port',
  '--admin-port': '--admin-address and --admin-port',
  // It names the address as well.
  '--listen': '--listen',
}

/** What to throw when listening failed: an Exit that names the port when that is what is wrong. */
export function portTaken(
  error: unknown,
  { address, port, option }: { address: string; port: number; option: keyof typeof WHERE },
): unknown {
  const code = (error as { code?: string }).code
  if (code === 'EADDRINUSE') {
    return new Exit(3, `port ${port} on ${address} is in use: choose another with ${option}.`)
  }
  if (code === 'EADDRNOTAVAIL' || code === 'EACCES' || code === 'ENOTFOUND') {
    return new Exit(2, `${address}:${port} can not be listened on (${code}): see ${WHERE[option]}.`)
  }
  return error
}
