// How the process ends: a code that scripts can tell apart and one sentence for people.

/** 1 unexpected, 2 usage or configuration, 3 port or directory in use, 4 a foreign drive or too many missing. */
export type ExitCode = 1 | 2 | 3 | 4

/** Ends the program with `code` and this sentence. */
export class Exit extends Error {
  override readonly name = 'Exit'
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, sentence: string, options?: { cause?: unknown }) {
    super(sentence, options)
    this.exitCode = exitCode
  }
}
