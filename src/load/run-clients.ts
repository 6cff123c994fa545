// Clients of one process: each sends what its script says, one request after the other, and counts what comes.
import type { Clock } from '../kit/world.ts'
import type { Answer } from './answer-reader.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { Latencies, type LatencyCounts } from './latencies.ts'
import type { Move, Script } from './scripts.ts'
import { Signer } from './signer.ts'

/** What clients saw. */
export interface Tally {
  requests: number
  /** In the unit of the load. */
  amount: number
  /** Answers that were not what they have to be, and broken connections. */
  errors: number
  /** What was wrong first. */
  firstError?: string
  /** From the first request to the last answer. */
  seconds: number
  latencies: LatencyCounts
}

/** A server that refuses everything is not asked without end. */
const ERRORS_IN_A_ROW_MAX = 100

/** Who is told that it is too much comes again no sooner, as clients of S3 do. */
const REST_AFTER_503_MS = 1_000

/** What clients need. */
export interface ClientParts {
  endpoint: Endpoint
  clock: Pick<Clock, 'now' | 'monotonicMs' | 'sleep'>
}

/** Runs the scripts side by side until they end or time is over; a request that was begun is waited for. */
export async function runClients(
  scripts: readonly Script[],
  untilMs: number,
  { endpoint, clock }: ClientParts,
): Promise<Tally> {
  const counting = new Counting(clock)
  const signer = new Signer(endpoint, clock)
  await Promise.all(scripts.map((script) => runOne(script)))
  return counting.tally()

  async function runOne(script: Script): Promise<void> {
    const connection = new Connection(endpoint.url)
    let errorsInRow = 0
    while (clock.monotonicMs() < untilMs && errorsInRow < ERRORS_IN_A_ROW_MAX) {
      const move = script.next()
      if (move === undefined) break
      const sent = sendOver(connection, move)
      errorsInRow = (await counting.count(move, sent)) ? 0 : errorsInRow + 1
      if (errorsInRow > 0 && (await isRefused(sent))) await clock.sleep(REST_AFTER_503_MS)
    }
    connection.close()
  }

  function sendOver(connection: Connection, { step, keepsBody = false }: Move): Promise<Answer> {
    const isHead = step.method === 'HEAD'
    return connection.send({ head: signer.head(step), body: step.body?.bytes, isHead, keepsBody })
  }
}

async function isRefused(sent: Promise<Answer>): Promise<boolean> {
  const answer = await sent.catch(() => undefined)
  return answer?.status === 503
}

class Counting {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #latencies = new Latencies()
  readonly #startedMs: number
  #requests = 0
  #amount = 0
  #errors = 0
  #firstError: string | undefined

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
  }

  /** Whether the answer was right. */
  async count(move: Move, sent: Promise<Answer>): Promise<boolean> {
    const sentMs = this.#clock.monotonicMs()
    try {
      const answer = await sent
      this.#latencies.note(this.#clock.monotonicMs() - sentMs)
      this.#requests += 1
      checkAnswer(move, answer)
      this.#amount += move.amount(answer)
      return true
    } catch (error) {
      this.#errors += 1
      this.#firstError ??= (error as Error).message
      return false
    }
  }

  tally(): Tally {
    return {
      ...{ requests: this.#requests, amount: this.#amount, errors: this.#errors },
      ...(this.#firstError === undefined ? {} : { firstError: this.#firstError }),
      seconds: (this.#clock.monotonicMs() - this.#startedMs) / 1000,
      latencies: this.#latencies.counts(),
    }
  }
}

/** Throws Error when the answer is not what it has to be. */
export function checkAnswer(move: Move, answer: Answer): void {
  const { method, bucket, key } = move.step
  if (answer.status !== move.status) {
    const said = answer.body?.toString('utf8', 0, 300) ?? ''
    throw new Error(`${method} /${bucket}/${key} was answered with ${answer.status} ${said}`)
  }
  if (move.bytes !== undefined && answer.bytes !== move.bytes)
    throw new Error(`${method} /${bucket}/${key} has ${answer.bytes} bytes, not ${move.bytes}`)
  move.check?.(answer)
}
