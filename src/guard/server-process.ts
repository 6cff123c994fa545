// The server as a process of its own: this very command again, with what it is told in its environment and a leash.
// Beside the bench the only file that starts processes.
import { spawn } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { LEASH_FD, type Life, type Listening, readListening, writeLife } from './life.ts'

/** How a process ended: by itself or by a signal. */
export type ProcessEnd = { kind: 'exit'; code: number } | { kind: 'signal'; signal: NodeJS.Signals }

/** A server that was started. */
export interface ServerProcess {
  /** Rejects when it could not be started. */
  ended: Promise<ProcessEnd>
  /** What it told once it listened; undefined before. */
  listening(): Listening | undefined
  signal(signal: NodeJS.Signals): void
}

/** What to run, and the variable that tells it about its life. */
export interface ServerCommand {
  program: string
  words: readonly string[]
  environment: Record<string, string | undefined>
  variable: string
}

// What a server tells goes into a variable of the next one, and Linux takes no more for one of them.
const TOLD_CHARACTERS_MAX = 120 * 1024

/** Starts the server; it writes where this process writes. */
export function startServerProcess(command: ServerCommand, life: Life): ServerProcess {
  const child = spawn(command.program, command.words, {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: { ...command.environment, [command.variable]: writeLife(life) },
  })
  let told = ''
  let isTooLong = false
  const leash = child.stdio[LEASH_FD] as Duplex | null
  leash?.on('data', (bytes: Buffer) => {
    isTooLong ||= told.length + bytes.length > TOLD_CHARACTERS_MAX
    if (!isTooLong) told += bytes.toString('utf8')
  })
  // It ends with the server, however that ends.
  leash?.on('error', () => {})
  const ended = new Promise<ProcessEnd>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      resolve(signal === null ? { kind: 'exit', code: code ?? 1 } : { kind: 'signal', signal })
    })
  })
  return {
    ended,
    listening: () => readListening(told),
    signal: (signal) => {
      child.kill(signal)
    },
  }
}
