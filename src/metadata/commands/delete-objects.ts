// delete-objects: many keys of one bucket in one entry, each decided as delete-object would decide it after those before it.
import { assert } from '../../kit/assert.ts'
import { asBuffer } from '../../kit/bytes.ts'
import type { DeletionOutcome, KeyDeletion } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import type { DoneDeletion } from '../rows/answer-row.ts'
import { answerChange } from './answer-change.ts'
import { refusesCommands } from './bucket-gate.ts'
import { type CommandOf, type Context, type Rule, refuse, type View } from './decision.ts'
import { decideDeletion } from './deletion.ts'
import { readKeyIn } from './key-state.ts'
import { PendingRows } from './pending-rows.ts'
import { rowsInOrder } from './rows-in-order.ts'
import { markerAt } from './version-at.ts'

/** Keys of one command, for what is decided and applied at once keeps others waiting: some milliseconds. */
export const DELETIONS_MAX = 128

/** An entry takes no further key once it has rows of so many bytes. One object of thousands of parts may have more. */
const ROWS_BYTES_MAX = 256 * 1024

const DONE = Promise.resolve()

/** Answers the outcomes of the first keys, one at least: as many as fit into an entry and a turn. */
export const deleteObjects: Rule<'delete-objects'> = {
  async decide(command, context) {
    const { bucket, keys } = command
    assert(keys.length > 0, 'something is to be deleted')
    if (await refusesCommands(context.view, bucket)) return refuse({ kind: 'bucket-gone' })
    const { batch, outcomes } = await decideAll(command, context)
    if (outcomes.length === 0) return refuse({ kind: 'bucket-gone' })
    const answer = { kind: 'done' as const, outcomes }
    if (batch.length === 0) return refuse(answer)
    batch.push(answerChange(command, context, { deletions: outcomes.map(withoutMarker) }))
    return { kind: 'answer', batch, answer }
  },

  repeat: (command, { time, deletions = [] }) => ({
    kind: 'done',
    outcomes: deletions.map((done, at) => withMarker(done, { command, at, time })),
  }),
}

/** The first keys, as many as fit. None where the sender knows an old state of the bucket. */
async function decideAll(
  { commandId, bucket, keys, bypass }: CommandOf<'delete-objects'>,
  { view: rows, time, nowMs, garbage, judgedMs, isTimeOver }: Context,
): Promise<{ batch: RowBatch; outcomes: DeletionOutcome[] }> {
  const above = namesTwice(keys) ? rowsOnTop(rows) : undefined
  const view = above ?? rows
  const context = { view, time, nowMs, garbage, judgedMs, isTimeOver }
  const batch: RowBatch = []
  const outcomes: DeletionOutcome[] = []
  let bytes = 0
  for (const { key, versionId, conditions } of keys) {
    if (outcomes.length === DELETIONS_MAX || bytes >= ROWS_BYTES_MAX) break
    // Rows that are not at hand, as those of old versions, may take a disk some milliseconds each.
    if (outcomes.length > 0 && isTimeOver()) break
    const state = await readKeyIn(bucket, key, view)
    if (state === 'bucket-gone') break
    const at = outcomes.length
    const asked = {
      ...{ commandId, bucket, at, key, conditions, bypass },
      ...(versionId === undefined ? {} : { versionId }),
    }
    const { batch: more, outcome } = await decideDeletion(asked, state, context)
    outcomes.push(outcome)
    above?.add(more, DONE)
    for (const change of more) {
      batch.push(change)
      bytes += change.key.length + (change.value?.length ?? 0)
    }
  }
  return { batch: above ? lastChanges(batch) : batch, outcomes }
}

function namesTwice(keys: readonly KeyDeletion[]): boolean {
  return new Set(keys.map(({ key }) => key)).size < keys.length
}

/** Rows on which the changes of the keys before are put. */
function rowsOnTop(view: View): PendingRows {
  return new PendingRows(rowsInOrder(view, Number.POSITIVE_INFINITY))
}

/** An entry changes a row once. */
function lastChanges(batch: RowBatch): RowBatch {
  return [
    ...new Map(batch.map((change) => [asBuffer(change.key).toString('latin1'), change])).values(),
  ]
}

function withoutMarker(outcome: DeletionOutcome): DoneDeletion {
  if (outcome.kind !== 'done' || !outcome.made) return outcome as DoneDeletion
  return { kind: 'made' }
}

function withMarker(
  done: DoneDeletion,
  { command, at, time }: { command: CommandOf<'delete-objects'>; at: number; time: bigint },
): DeletionOutcome {
  if (done.kind !== 'made') return done
  const { commandId, bucket } = command
  return { kind: 'done', made: markerAt({ commandId, bucket, at }, time) }
}
