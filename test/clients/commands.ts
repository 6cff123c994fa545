// Finds the commands of clients, those of install.sh first, runs them and says what they said.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
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

/** Where commands are looked for: first where install.sh puts those of Python. */
export function searchPath(): string {
  return [resolve('.venv/bin'), process.env.PATH].join(delimiter)
}

/** The first command of this name whose `--version` matches. */
export function findVersion(name: string, version: RegExp): string | undefined {
  const paths = searchPath().split(delimiter)
  return paths.map((directory) => join(directory, name)).find((path) => says(path, version))
}

function says(path: string, version: RegExp): boolean {
  const ran = spawnSync(path, ['--version'], { encoding: 'utf8' })
  return ran.status === 0 && version.test(ran.stdout)
}

/** Why a test of `tools` is skipped: false, or what is missing. In CI nothing may be missing. */
export function skipWithout(tools: readonly string[]): string | false {
  const env = { ...process.env, PATH: searchPath() }
  return skipFor(
    tools.filter((tool) => spawnSync(tool, ['--version'], { env }).error !== undefined),
  )
}

/** The same, for what was looked for in another way. */
export function skipFor(missing: readonly string[]): string | false {
  if (missing.length === 0) return false
  const reason = `not installed: ${missing.join(', ')} (npm run test:clients installs them)`
  if (process.env.CI) throw new Error(reason)
  return reason
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
