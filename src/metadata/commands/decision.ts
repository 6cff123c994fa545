// How a command is decided: from rows as they will be once everything before it is done, to a batch and an answer.
// Deciding has no effect of its own, so a decision that is not appended never happened.
import type { Answers, Command } from '../contract.ts'
import type { RowBatch, RowRange } from '../log/contract.ts'
import type { DoneCommand } from '../rows/answer-row.ts'

/** A row as a view gives it. */
export interface Row {
  key: Uint8Array
  value: Uint8Array
}

/** Rows as they are once every command before this one is done. */
export interface View {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** What get() gives, where that is known without waiting. Absent where it never is. */
  getAtHand?(key: Uint8Array): { value: Uint8Array | undefined } | undefined
  /** The first `limit` rows of the range, in order of key. */
  scan(range: RowRange, limit: number): Promise<Row[]>
}

/** How long bytes outlive their last reference: readers may still be at them. */
export interface GarbagePolicy {
  graceMs: number
  /** The slowest reader that is waited for. */
  bytesPerSecond: number
}

/** What a decision may depend on beside its command. The same context gives the same batch. */
export interface Context {
  view: View
  /** Time of the log for this command, above that of every command before it. */
  time: bigint
  /** Wall clock: for when garbage is due and old rows are forgotten. */
  nowMs: number
  garbage: GarbagePolicy
  /** Rows come to name no blob whose uid is of this time or earlier: its shards may be deleted. */
  judgedMs: number
  /** Of a command of many parts: whether what is decided by now has to be enough. Others wait for their turn. */
  isTimeOver(): boolean
  /** Throws for a command that is not to be done now. Not asked of one that was done. */
  admit?: (command: Command) => void
}

/** `more`: one bounded step of a long command; it is decided again once the batch is appended. */
export type Decision<Answer> =
  | { kind: 'answer'; batch: RowBatch; answer: Answer }
  | { kind: 'more'; batch: RowBatch }

/** The commands of one kind. */
export type CommandOf<Kind extends Command['kind']> = Extract<Command, { kind: Kind }>

/** The meaning of one kind of command. */
export interface Rule<Kind extends Command['kind']> {
  decide(command: CommandOf<Kind>, context: Context): Promise<Decision<Answers[Kind]>>
  /**
   * The answer of a command that was done before, from its answer row. Absent where doing it twice
   * changes nothing: such commands write no answer row.
   */
  repeat?(command: CommandOf<Kind>, done: DoneCommand): Answers[Kind]
}

/** A decision that changes nothing. */
export function refuse<Answer>(answer: Answer): Decision<Answer> {
  return { kind: 'answer', batch: [], answer }
}
