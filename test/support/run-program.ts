// The program as it is installed, run to its end.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { TEST_KEYS } from './server.ts'

/** Its path. */
export const PROGRAM = fileURLToPath(new URL('../../../bin/kintsugi.cjs', import.meta.url))

/** The root credentials, for commands about a running store. */
export const ROOT_KEYS: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
}

/** How it ended. */
export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** Where and how it runs. */
export interface RunOptions {
  environment?: Readonly<Record<string, string>>
  cwd?: string
  /** Hears all that it wrote to standard error, whenever that gets longer. */
  onStderr?(text: string): void
}

/** Runs it. Nothing but PATH and `environment` is in its environment. */
export function runProgram(
  words: readonly string[],
  { environment = {}, cwd, onStderr = () => {} }: RunOptions = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, ...words], {
    cwd,
    env: { PATH: process.env.PATH, ...environment },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes
  })
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes
    onStderr(stderr)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}
