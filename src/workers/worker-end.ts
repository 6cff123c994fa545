// The end of the channel that a worker holds: answers what the first process asks, and closes when it is told to.
// At the end of the first process Node ends the worker.
import { type OnReadOpts, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Log } from '../kit/log.ts'
import { stayAlive } from '../kit/world.ts'
import {
  type Answers,
  type FromWorker,
  LINK_FD,
  type QuestionName,
  type ToWorker,
  type WorkerStart,
} from './messages.ts'

/** What a worker does when it is asked. */
export interface WorkerDuties {
  answers: { [Name in QuestionName]: () => Answers[Name] | Promise<Answers[Name]> }
  close(options: { deadlineMs: number }): Promise<void>
  log: Log
}

/** Reads what a first process wrote into the environment. */
export function readWorkerStart(text: string): WorkerStart {
  return JSON.parse(text) as WorkerStart
}

/** Listens to the first process, for as long as this one lives. */
export function attendFirst(duties: WorkerDuties): void {
  process.on('message', (message: ToWorker) => void take(message, duties))
  // Of a terminal they reach every process: who is told by the first one drains once, and with it.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
}

/** Tells that clients are served, and what people should read about it. */
export function tellServing(endpoint: string, lines: readonly string[]): void {
  tell({ kind: 'serving', endpoint, lines })
}

/** Tells why it can not serve; then the process may end. */
export function tellNotStarted(code: number, sentence: string): Promise<void> {
  const message: FromWorker = { kind: 'not-started', code, sentence }
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve()
    else process.send(message, undefined, {}, () => resolve())
  })
}

/** The way to the store, where the first process has it. What comes is read into memory of the caller. */
export function openLink(onread: OnReadOpts): Duplex {
  // The types know `onread` of connect() alone.
  const options = { fd: LINK_FD, readable: true, writable: true, onread }
  return new Socket(options)
}

/** Never rejects. */
async function take(message: ToWorker, { answers, close, log }: WorkerDuties): Promise<void> {
  try {
    switch (message.kind) {
      case 'ask':
        tell({ kind: 'answer', id: message.id, answer: await answers[message.name]() })
        return
      case 'close':
        await stayAlive(close({ deadlineMs: message.deadlineMs }))
        process.exit(0)
    }
  } catch (error) {
    log.error({ error: String(error) }, `a worker could not do what it was told: ${message.kind}`)
    if (message.kind === 'close') process.exit(1)
  }
}

function tell(message: FromWorker): void {
  // Without a channel the first process is gone, and this one is about to end.
  if (process.connected) process.send?.(message)
}
