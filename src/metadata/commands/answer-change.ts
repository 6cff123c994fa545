// The row that makes a command idempotent: written in the batch that does it, read before it is done again.
import type { Command } from '../contract.ts'
import type { RowChange } from '../log/contract.ts'
import { type DoneCommand, encodeAnswerRow } from '../rows/answer-row.ts'
import { answerKey } from '../rows/keys.ts'
import type { Context } from './decision.ts'

/** The change that remembers that `command` was done now. */
export function answerChange(
  { kind, commandId }: Pick<Command, 'kind' | 'commandId'>,
  { time }: Pick<Context, 'time'>,
  found: Omit<DoneCommand, 'kind' | 'time'> = {},
): RowChange {
  return { key: answerKey(commandId), value: encodeAnswerRow({ kind, time, ...found }) }
}
