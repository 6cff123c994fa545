// From a command to its decision: the table of rules, and what makes every command idempotent.
import { assert } from '../../kit/assert.ts'
import { uidTimeMs } from '../../kit/uid.ts'
import type { AnswerTo, Command, Sending } from '../contract.ts'
import { type DoneCommand, decodeAnswerRow } from '../rows/answer-row.ts'
import { answerKey } from '../rows/keys.ts'
import { MetadataUnavailable } from '../unavailable.ts'
import { abortUpload } from './abort-upload.ts'
import { deleteAnnotation, putAnnotation } from './annotate.ts'
import { appendObject } from './append-object.ts'
import { completeUpload } from './complete-upload.ts'
import { createUpload } from './create-upload.ts'
import type { Context, Decision, Rule, View } from './decision.ts'
import { deleteObject } from './delete-object.ts'
import { deleteObjects } from './delete-objects.ts'
import { dropBucket } from './drop-bucket.ts'
import { editVersion } from './edit-version.ts'
import { forgetGarbage } from './forget-garbage.ts'
import { rowsOfKey, rowsOfKeys } from './key-state.ts'
import { moveBlob } from './move-blob.ts'
import { newBlobsOf, refuseJudged } from './new-blobs.ts'
import { putObject } from './put-object.ts'
import { putPart } from './put-part.ts'
import { replaceBlob } from './replace-blob.ts'
import { setBucket } from './set-bucket.ts'

const rules: { [Kind in Command['kind']]: Rule<Kind> } = {
  'put-object': putObject,
  'append-object': appendObject,
  'delete-object': deleteObject,
  'delete-objects': deleteObjects,
  'edit-version': editVersion,
  'put-annotation': putAnnotation,
  'delete-annotation': deleteAnnotation,
  'create-upload': createUpload,
  'put-part': putPart,
  'complete-upload': completeUpload,
  'abort-upload': abortUpload,
  'set-bucket': setBucket,
  'drop-bucket': dropBucket,
  'move-blob': moveBlob,
  'replace-blob': replaceBlob,
  'forget-garbage': forgetGarbage,
}

/**
 * A command that is this old when it comes is not looked at: its answer row may be forgotten soon (sweep.ts),
 * and then it could be done twice.
 */
export const COMMAND_AGE_MS_MAX = 5 * 60 * 1000

/** Keys of rows at which a command surely looks. */
export function rowsToRead(command: Command): Uint8Array[] {
  if (command.kind === 'delete-objects') return rowsOfKeys(command.bucket, command.keys)
  return 'key' in command && command.kind !== 'put-part' ? rowsOfKey(command) : []
}

/**
 * Decides a command: a batch and an answer, or the answer that it had before. `isFirst`: it surely was not done before.
 */
export function decide<C extends Command>(
  command: C,
  context: Context,
  { isFirst = false }: Pick<Sending, 'isFirst'> = {},
): Promise<Decision<AnswerTo<C>>> {
  // TypeScript does not see that the rule of a kind takes commands of that kind.
  const rule = rules[command.kind] as unknown as Rule<C['kind']>
  if (rule.repeat) refuseOld(command, context.nowMs)
  return rule.repeat && !isFirst
    ? decideAgain(command, rule, context)
    : decideOnce(command, rule, context)
}

function decideOnce<C extends Command>(
  command: C,
  rule: Rule<C['kind']>,
  context: Context,
): Promise<Decision<AnswerTo<C>>> {
  refuseJudged(command, context)
  context.admit?.(command)
  return rule.decide(typedFor(rule, command), context) as Promise<Decision<AnswerTo<C>>>
}

async function decideAgain<C extends Command>(
  command: C,
  rule: Rule<C['kind']>,
  context: Context,
): Promise<Decision<AnswerTo<C>>> {
  const typed = typedFor(rule, command)
  // Deciding has no effect, so it need not wait for the answer row.
  const [done, decision] = await Promise.all([
    readDone(command, context.view),
    rule.decide(typed, context),
  ])
  if (!done) {
    refuseJudged(command, context)
    context.admit?.(command)
    return decision as Decision<AnswerTo<C>>
  }
  return { kind: 'answer', batch: [], answer: rule.repeat!(typed, done) as AnswerTo<C> }
}

function typedFor<Kind extends Command['kind']>(
  _: Rule<Kind>,
  command: Command,
): Parameters<Rule<Kind>['decide']>[0] {
  return command as unknown as Parameters<Rule<Kind>['decide']>[0]
}

function refuseOld({ commandId }: Command, nowMs: number): void {
  if (uidTimeMs(commandId) >= nowMs - COMMAND_AGE_MS_MAX) return
  throw new MetadataUnavailable('the command is too old to know whether it was done already')
}

/**
 * What was sent before the partition was recovered may have been done, and its blob may have been found on the drives and have a row again: so it is
 * neither done nor refused now, for whoever is refused deletes the blob. So this comes before all that refuses.
 */
export function refuseUnknown(command: Command, recoveredMs: number): void {
  const uids = [command.commandId, ...newBlobsOf(command).map(({ uid }) => uid)]
  if (uids.every((uid) => uidTimeMs(uid) > recoveredMs)) return
  throw new MetadataUnavailable('the partition was recovered since: nobody knows what was done')
}

async function readDone(
  { kind, commandId }: Command,
  view: View,
): Promise<DoneCommand | undefined> {
  const row = await view.get(answerKey(commandId))
  if (!row) return undefined
  const done = decodeAnswerRow(row)
  assert(done.kind === kind, 'a command id is used for one command')
  return done
}
