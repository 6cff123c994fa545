// Runs the commands of clients and says what they said.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Test } from 'tap'

/** What a command gave. */
export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** Environment, and files in place of the terminal. */
export interface RunOptions {
  environment: NodeJS.ProcessEnv
  stdinFile?: string
  stdoutFile?: string
}

/** No command of these tests takes longer. */
const COMMAND_MS = 180_000

/** Runs a command to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Ran> {
  const child = spawn(command, args, { env: options.environment, timeout: COMMAND_MS })
  const ended = once(child, 'close')
  const input = options.stdinFile
    ? pipeline(createReadStream(options.stdinFile), child.stdin)
    : child.stdin.end()
  const output = options.stdoutFile
    ? pipeline(child.stdout, createWriteStream(options.stdoutFile)).then(() => '')
    : textOf(child.stdout)
  const stderr = textOf(child.stderr)
  const [code] = (await ended) as [number | null]
  await input
  return { code: code ?? -1, stdout: await output, stderr: await stderr }
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** Why a test of `tools` is skipped: false, or what is missing. In CI nothing may be missing. */
export function skipWithout(tools: readonly string[]): string | false {
  const missing = tools.filter((tool) => spawnSync(tool, ['--version']).error !== undefined)
  if (missing.length === 0) return false
  if (process.env.CI) throw new Error(`not installed: ${missing.join(', ')}`)
  return `not installed: ${missing.join(', ')}`
}

/** A client's command line bound to a store: each call is one check that it ended well, and gives what it printed. */
export type Client = (...args: string[]) => Promise<string>

/** `aws('s3', 'ls')` runs and checks `aws s3 ls`. */
export function client(t: Test, command: string, environment: NodeJS.ProcessEnv): Client {
  return async (...args) => {
    const ran = await run(command, args, { environment })
    const shown = [command, ...args].join(' ').slice(0, 120)
    t.equal(ran.code, 0, `${shown}`, ran.code === 0 ? {} : { stderr: ran.stderr.slice(-2000) })
    return ran.stdout
  }
}
