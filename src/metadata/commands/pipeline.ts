// The one order of a partition's commands: decided one at a time, made durable many at a time.
// A command is decided on top of those still on their way to the disk, and answered when it is durable itself.
import { Semaphore } from '../../kit/semaphore.ts'
import type { Clock } from '../../kit/world.ts'
import type { AnswerTo, Command, Sending } from '../contract.ts'
import type { PartitionLog, RowBatch } from '../log/contract.ts'
import { decodeClockRow, encodeClockRow } from '../rows/clock-row.ts'
import { decodeJudgedRow, encodeJudgedRow } from '../rows/judged-row.ts'
import { CLOCK_KEY, JUDGED_KEY, RECOVERED_KEY } from '../rows/keys.ts'
import { decodeRecoveredRow } from '../rows/recovered-row.ts'
import { MetadataUnavailable } from '../unavailable.ts'
import { AppendedBatch, type Fate, type Fates, NO_FATES } from './appended-batch.ts'
import { decide, refuseUnknown, rowsToRead } from './decide.ts'
import type { Context, Decision, GarbagePolicy, View } from './decision.ts'
import { nextTime } from './log-time.ts'
import { PendingRows } from './pending-rows.ts'
import { firstSweep, type SweepPosition, sweepExpired } from './sweep.ts'
import { Tally } from './tally.ts'

/** How much of a partition may be under way, and who is asked or told of its commands. */
export interface PipelineOptions {
  garbage: GarbagePolicy
  /** Throws for a command that is not to be done now: in its turn, when it is known that it was not done before. */
  admit?: (command: Command) => void
  /** Commands that are decided but not yet durable. */
  pendingMax: number
  /** Commands that wait to be decided, one for many keys as so many; one more is refused with Overloaded. */
  waitingMax: number
  /** Told of every batch in order of the log, before anybody else: its rows can be read, or with a failure nobody knows. */
  onSettled?: (batch: RowBatch, failure: Error | undefined) => void
  /** Told of every batch when it gets its place in the log: nobody can read its rows before, nor hear of it. */
  onAppended?: (batch: RowBatch) => void
}

/** The log whose rows are decided upon, and the wall clock that decisions go by. */
export interface PipelineParts {
  log: PartitionLog
  clock: Pick<Clock, 'now'>
}

const COMMANDS_PER_SWEEP = 256

/** A command of many parts takes no further one when its turn has lasted so long. */
const TURN_MS = 20

// Answered when they are durable: who reads what they changed waits until it can be read. Others change rows that are read
// without a look at what is under way.
const ANSWERED_EARLY: ReadonlySet<Command['kind']> = new Set<Command['kind']>([
  'put-object',
  'delete-object',
  'delete-objects',
])

/** A pipeline over the log as it stands. */
export async function openPipeline(
  options: PipelineOptions,
  parts: PipelineParts,
): Promise<CommandPipeline> {
  const { rows } = parts.log
  const keys = [CLOCK_KEY, JUDGED_KEY, RECOVERED_KEY]
  const [clock, judged, recovered] = await Promise.all(keys.map((key) => rows.get(key)))
  const time = clock ? decodeClockRow(clock) : 0n
  return new CommandPipeline(
    {
      ...{ time, judgedMs: judged ? decodeJudgedRow(judged) : 0 },
      recoveredMs: recovered ? decodeRecoveredRow(recovered) : 0,
    },
    options,
    parts,
  )
}

/** Takes commands of one partition. After the first failed append it takes no more. */
export class CommandPipeline {
  readonly tally = new Tally()
  readonly #options: PipelineOptions
  readonly #parts: PipelineParts
  readonly #rows: PendingRows
  readonly #places: Semaphore
  readonly #turn: Semaphore
  #time: bigint
  #judgedMs: number
  readonly #recoveredMs: number
  #failure: Error | undefined
  #last: Fates = NO_FATES
  /** Batches whose fate is open, in order of the log. */
  readonly #open: AppendedBatch[] = []
  #sweep: SweepPosition = firstSweep()
  #commandsSinceSweep = 0

  constructor(
    { time, judgedMs, recoveredMs }: { time: bigint; judgedMs: number; recoveredMs: number },
    options: PipelineOptions,
    parts: PipelineParts,
  ) {
    this.#time = time
    this.#judgedMs = judgedMs
    this.#recoveredMs = recoveredMs
    this.#options = options
    this.#parts = parts
    this.#rows = new PendingRows(parts.log.rows)
    this.#places = new Semaphore(options.pendingMax, { maxWaitingPermits: options.waitingMax })
    this.#turn = new Semaphore(1, { maxWaiting: options.pendingMax })
  }

  /** Throws MetadataUnavailable for a command of which nobody knows since a recovery whether it was done. To be asked before it is refused. */
  refuseUnknown(command: Command): void {
    refuseUnknown(command, this.#recoveredMs)
  }

  /** Decides, appends, and answers once that is durable. */
  async commit<C extends Command>(command: C, sending: Sending = {}): Promise<AnswerTo<C>> {
    const places = Math.min(weightOf(command), this.#options.pendingMax)
    if (!this.#places.tryAcquire(places)) await this.#places.acquire(places)
    let { readable } = NO_FATES
    try {
      let { isFirst } = sending
      for (;;) {
        const { decision, fates } = await this.#decideInTurn(command, { ...sending, isFirst })
        readable = fates.readable
        // A refusal waits as well: it may rest on a write that is not durable yet.
        const isEarly = ANSWERED_EARLY.has(command.kind)
        const failure = await (isEarly ? fates.durable : this.#hurry(readable))
        if (failure) throw unavailable(failure)
        if (decision.kind === 'more') {
          isFirst = false
          continue
        }
        // Nothing of its own in the log makes sure that somebody else does not know better.
        if (decision.batch.length === 0) await this.#parts.log.confirm?.().catch(unconfirmed)
        return decision.answer
      }
    } finally {
      // What is answered early keeps its place: what waits to be readable is bounded as well.
      void readable.then(() => this.#places.release(places))
    }
  }

  /**
   * Asks a question as a command would be decided: between two commands, on top of all before it. Answered once those
   * are durable. Throws MetadataUnavailable where the fate of a command may be open, and from then on for ever.
   */
  async ask<Answer>(question: (view: View) => Promise<Answer>): Promise<Answer> {
    return await this.#askInOrder(() => this.#askInTurn(question))
  }

  /**
   * As ask(), with an entry of its own: from then on no row comes to name a blob whose uid is of the time `judgedMs` of the
   * answer or earlier, whoever leads. Who was deposed appends none, and answers nothing.
   */
  async judge<Answer extends { judgedMs: number }>(
    question: (view: View, nowMs: number) => Promise<Answer>,
  ): Promise<Answer> {
    return await this.#askInOrder(() => this.#judgeInTurn(question))
  }

  /**
   * Forgets some rows that have expired, in the order of the commands: without commands nobody else does. Answers how
   * many it forgot, once that is durable; throws MetadataUnavailable as commit() does.
   */
  async sweep(): Promise<number> {
    if (!this.#places.tryAcquire()) await this.#places.acquire()
    try {
      const { count, fate } = await this.#sweepInTurn()
      const failure = await this.#hurry(fate)
      if (failure) throw unavailable(failure)
      return count
    } finally {
      this.#places.release()
    }
  }

  /** Whether a write of `key` has not met its fate yet. */
  isPending(key: Uint8Array): boolean {
    return this.#rows.fateOf(key) !== undefined
  }

  /** Resolves when the write of `key` that was appended last has met its fate; undefined when none is under way. */
  settled(key: Uint8Array): Promise<unknown> | undefined {
    const fate = this.#rows.fateOf(key)
    return fate && this.#hurry(fate)
  }

  /** Resolves when all that is appended now has met its fate; undefined when nothing is under way. */
  allSettled(): Promise<unknown> | undefined {
    return this.#rows.isEmpty ? undefined : this.#hurry(this.#last.readable)
  }

  #hurry<Fated>(fate: Promise<Fated>): Promise<Fated> {
    this.#parts.log.hurry?.()
    return fate
  }

  async #decideInTurn<C extends Command>(
    command: C,
    { isFirst, isLate }: Sending,
  ): Promise<{ decision: Decision<AnswerTo<C>>; fates: Fates }> {
    // While it waits for its turn, in which others wait for it.
    const warm = this.#parts.log.rows.warm?.(rowsToRead(command))
    if (!this.#turn.tryAcquire()) await this.#turn.acquire()
    try {
      if (warm !== undefined) await warm
      if (this.#failure) throw unavailable(this.#failure)
      const context = this.#newContext(isLate)
      const decision = await decide(command, context, { isFirst })
      const swept = this.#mustSweep(weightOf(command)) ? await this.#sweepNow(context) : NOTHING
      const isOver = decision.batch.length > 0 && isLate?.() === true
      // What was swept is not looked at again.
      const batch = isOver ? swept : joined(decision.batch, swept)
      if (batch.length > 0) this.#append(batch, context.time)
      if (isOver) throw new MetadataUnavailable('the time of the command was over')
      return { decision, fates: this.#last }
    } finally {
      this.#turn.release()
    }
  }

  async #askInOrder<Answer>(ask: () => Promise<{ answer: Answer; fate: Fate }>): Promise<Answer> {
    if (!this.#places.tryAcquire()) await this.#places.acquire()
    try {
      const { answer, fate } = await ask()
      const failure = await this.#hurry(fate)
      if (failure) throw unavailable(failure)
      return answer
    } finally {
      this.#places.release()
    }
  }

  async #askInTurn<Answer>(
    question: (view: View) => Promise<Answer>,
  ): Promise<{ answer: Answer; fate: Fate }> {
    if (!this.#turn.tryAcquire()) await this.#turn.acquire()
    try {
      if (this.#failure) throw unavailable(this.#failure)
      const answer = await question(this.#rows)
      // The view fell back to older rows if an append failed while they were read.
      if (this.#failure) throw unavailable(this.#failure)
      return { answer, fate: this.#last.readable }
    } finally {
      this.#turn.release()
    }
  }

  async #judgeInTurn<Answer extends { judgedMs: number }>(
    question: (view: View, nowMs: number) => Promise<Answer>,
  ): Promise<{ answer: Answer; fate: Fate }> {
    if (!this.#turn.tryAcquire()) await this.#turn.acquire()
    try {
      if (this.#failure) throw unavailable(this.#failure)
      const { nowMs, time } = this.#newContext()
      const answer = await question(this.#rows, nowMs)
      const judgedMs = Math.max(this.#judgedMs, answer.judgedMs)
      // Also when it says nothing new: that it is committed says that nobody else has led since.
      this.#append([{ key: JUDGED_KEY, value: encodeJudgedRow(judgedMs) }], time)
      this.#judgedMs = judgedMs
      return { answer, fate: this.#last.readable }
    } finally {
      this.#turn.release()
    }
  }

  async #sweepInTurn(): Promise<{ count: number; fate: Fate }> {
    if (!this.#turn.tryAcquire()) await this.#turn.acquire()
    try {
      if (this.#failure) throw unavailable(this.#failure)
      const context = this.#newContext()
      const batch = await this.#sweepNow(context)
      if (batch.length > 0) this.#append(batch, context.time)
      return { count: batch.length, fate: this.#last.readable }
    } finally {
      this.#turn.release()
    }
  }

  #newContext(isLate?: () => boolean): Context {
    const { clock } = this.#parts
    const nowMs = clock.now()
    const { garbage, admit } = this.#options
    const time = nextTime(this.#time, nowMs)
    const isTimeOver = (): boolean => isLate?.() === true || clock.now() - nowMs > TURN_MS
    const limits = { judgedMs: this.#judgedMs, isTimeOver, ...(admit ? { admit } : {}) }
    return { view: this.#rows, time, nowMs, garbage, ...limits }
  }

  #append(batch: RowBatch, time: bigint): void {
    // The view fell back to older rows if an append failed while this was decided.
    if (this.#failure) throw unavailable(this.#failure)
    this.#time = time
    this.tally.note(batch)
    const timed = [...batch, { key: CLOCK_KEY, value: encodeClockRow(time) }]
    const appended = new AppendedBatch(timed)
    this.#options.onAppended?.(batch)
    const appending = this.#parts.log.append(timed, appended.onDurable)
    this.#open.push(appended)
    this.#rows.add(timed, appended.readable)
    this.#last = appended
    appending.then(
      () => this.#end(appended, undefined),
      (error) => this.#end(appended, asError(error)),
    )
  }

  /** In log order: a batch whose predecessor failed has failed, whatever the log says of it. */
  #end(appended: AppendedBatch, failure: Error | undefined): void {
    appended.end = { failure }
    for (let first = this.#open[0]; first?.end !== undefined; first = this.#open[0]) {
      this.#open.shift()
      this.#failure ??= first.end.failure
      try {
        this.#options.onSettled?.(first.batch, this.#failure)
      } finally {
        this.#rows.settle(first.batch, first.readable)
        first.settle(this.#failure)
      }
    }
  }

  /** Every so many commands changes that forget expired rows ride in the batch of a command. */
  #mustSweep(weight: number): boolean {
    this.#commandsSinceSweep += weight
    return this.#commandsSinceSweep >= COMMANDS_PER_SWEEP
  }

  async #sweepNow(context: Context): Promise<RowBatch> {
    this.#commandsSinceSweep = 0
    const { batch, next } = await sweepExpired(this.#sweep, context)
    this.#sweep = next
    return batch
  }
}

const NOTHING: RowBatch = []

function joined(batch: RowBatch, more: RowBatch): RowBatch {
  return more.length === 0 ? batch : [...batch, ...more]
}

/** Of how many commands it is the work. */
function weightOf(command: Command): number {
  return command.kind === 'delete-objects' ? command.keys.length : 1
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

/** Whatever it was: a command that was sent again may have been done before. */
function unconfirmed(cause: unknown): never {
  if (cause instanceof MetadataUnavailable) throw cause
  throw new MetadataUnavailable('nobody is sure who leads the partition', { cause })
}

function unavailable(cause: Error): MetadataUnavailable {
  return new MetadataUnavailable(`the metadata log takes no more: ${cause.message}`, { cause })
}
