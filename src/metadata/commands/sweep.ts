// Forgets rows that outlived their use: answers of commands, results of completed uploads, manifests of old objects.
// A few at each call, so that no batch is large; every so many commands do it on their way, and where none come the
// minutes do (storage-node/upkeep/forget-expired.ts).
import { compareBytes } from '../../kit/bytes.ts'
import type { RowBatch } from '../log/contract.ts'
import { decodeCompletedRow } from '../rows/completed-row.ts'
import {
  answersFrom,
  KeyKind,
  keyAfter,
  manifestEndKey,
  manifestKey,
  oldManifestsFrom,
  rangeOfKind,
  uidOfOldManifest,
} from '../rows/keys.ts'
import { decodeOldManifestRow } from '../rows/old-manifest-row.ts'
import type { Context } from './decision.ts'

/** Twice the age at which a command is refused, so that the wall clock may go back a little. */
const ANSWER_KEPT_MS = 10 * 60 * 1000
/** Clients repeat a Complete whose answer they lost (pitfall 109). */
const COMPLETED_KEPT_MS = 7 * 24 * 60 * 60 * 1000

/** More than the commands between two sweeps, so that sweeping keeps up. */
const ANSWERS_PER_SWEEP = 1024
/** Three commands at least make one, and most that are walked past have not expired. */
const COMPLETED_PER_SWEEP = 256
const OLD_MANIFESTS_PER_SWEEP = 256
/** Few manifests have more than one row, but some have eighty, and objects that grew part by part one a part. */
const MANIFEST_ROWS_PER_SWEEP = 1024

/** Where the next sweep begins. Only in memory: a new partition begins from the start. */
export interface SweepPosition {
  answersFrom: Uint8Array
  completedFrom: Uint8Array
}

/** The position of a first sweep. */
export function firstSweep(): SweepPosition {
  return {
    answersFrom: rangeOfKind(KeyKind.Answer).from,
    completedFrom: rangeOfKind(KeyKind.Completed).from,
  }
}

/** Deletes what has expired from `position` on, and says where to go on. */
export async function sweepExpired(
  position: SweepPosition,
  context: Context,
): Promise<{ batch: RowBatch; next: SweepPosition }> {
  const answers = await sweepAnswers(position.answersFrom, context)
  const completed = await sweepCompleted(position.completedFrom, context)
  const manifests = await sweepManifests(context)
  return {
    batch: [...answers.batch, ...completed.batch, ...manifests],
    next: { answersFrom: answers.next, completedFrom: completed.next },
  }
}

interface Swept {
  batch: RowBatch
  next: Uint8Array
}

/** Ids of commands begin with their time, so what expired is one range; where it ends the next sweep begins. */
async function sweepAnswers(from: Uint8Array, { view, nowMs }: Context): Promise<Swept> {
  const to = answersFrom(nowMs - ANSWER_KEPT_MS)
  if (compareBytes(from, to) === 0) return { batch: [], next: to }
  // Past the end only when the wall clock went back: then the walk begins again.
  const start = compareBytes(from, to) > 0 ? rangeOfKind(KeyKind.Answer).from : from
  const rows = await view.scan({ from: start, to }, ANSWERS_PER_SWEEP)
  const last = rows.length < ANSWERS_PER_SWEEP ? to : rows.at(-1)!.key
  return { batch: rows.map(({ key }) => ({ key, value: undefined })), next: last }
}

/** Upload ids tell when an upload began, not when it ended: the rows are walked round and round. */
async function sweepCompleted(from: Uint8Array, { view, nowMs }: Context): Promise<Swept> {
  const all = rangeOfKind(KeyKind.Completed)
  const rows = await view.scan({ from, to: all.to }, COMPLETED_PER_SWEEP)
  const expired = rows.filter(
    ({ value }) => decodeCompletedRow(value).completedMs < nowMs - COMPLETED_KEPT_MS,
  )
  const next = rows.length < COMPLETED_PER_SWEEP ? all.from : keyAfter(rows.at(-1)!.key)
  return { batch: expired.map(({ key }) => ({ key, value: undefined })), next }
}

/** Due ones come first; what does not fit is left for the next sweep. */
async function sweepManifests({ view, nowMs }: Context): Promise<RowBatch> {
  const range = { from: oldManifestsFrom(0), to: oldManifestsFrom(Math.floor(nowMs) + 1) }
  const batch: RowBatch = []
  for (const { key, value } of await view.scan(range, OLD_MANIFESTS_PER_SWEEP)) {
    if (batch.length >= MANIFEST_ROWS_PER_SWEEP) break
    const uid = uidOfOldManifest(key)
    for (let chunk = 0; chunk < decodeOldManifestRow(value); chunk += 1) {
      batch.push({ key: manifestKey(uid, chunk), value: undefined })
    }
    batch.push({ key, value: undefined }, { key: manifestEndKey(uid), value: undefined })
  }
  return batch
}
