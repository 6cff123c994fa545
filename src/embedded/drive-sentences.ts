// What people are told of a command about drives that was carried out, by a store on one machine and by a cluster alike.
import type { DriveOutcome } from '../gateway/admin-api.ts'
import { type ErasureCode, nameCode } from '../kit/erasure-code.ts'
import type { ClusterMap, MapDrive } from '../placement/cluster-map.ts'
import { Refused } from './drive-refusals.ts'

/** The command did something, or there was nothing to be done. */
export function done(driveId: number, sentence: string): DriveOutcome & { kind: 'done' } {
  return { kind: 'done', driveId, sentence, warnings: [] }
}

/** With one warning more, where there is one, of what was done. */
export function withWarning(outcome: DriveOutcome, warning: string | undefined): DriveOutcome {
  if (outcome.kind !== 'done' || warning === undefined) return outcome
  return { ...outcome, warnings: [...outcome.warnings, warning] }
}

/** Throws Refused with the sentence, where there is one. */
export function refuse(sentence: string | undefined): void {
  if (sentence !== undefined) throw new Refused(sentence)
}

/** Of a drive that was asked to leave before; undefined for one that was not. */
export function alreadyLeaving(
  driveId: number,
  { isLeaving, isVacated }: { isLeaving?: boolean; isVacated?: boolean } = {},
): DriveOutcome | undefined {
  if (!isLeaving) return undefined
  return done(
    driveId,
    isVacated
      ? `drive ${driveId} is empty already: kintsugi drive remove ${driveId}.`
      : `drive ${driveId} is being emptied already.`,
  )
}

/** `before` and `after`: the code of new objects. */
export function draining(driveId: number, before: ErasureCode, after: ErasureCode): DriveOutcome {
  const sentence = `drive ${driveId} is being emptied: kintsugi drive list shows how far.`
  return done(driveId, `${sentence}${sayCode(before, after)}`)
}

/** What another code of new objects means; nothing where it is the same. */
export function sayCode(before: ErasureCode, after: ErasureCode): string {
  if (after.dataCount === before.dataCount) return ''
  return ` New objects are of code ${nameCode(after)}, and all others are written again with it.`
}

/** Of a drive that was asked to leave and is to stay after all. */
export function staying(driveId: number): DriveOutcome {
  return done(driveId, `drive ${driveId} stays, and gets its share of the data again.`)
}

/** `before` and `after`: the tables of slots. Where there are few drives each has a slot of all partitions, whatever it weighs. */
export function weighing(
  { id, weight }: Pick<MapDrive, 'id' | 'weight'>,
  { before, after }: Record<'before' | 'after', ClusterMap['slots']>,
): DriveOutcome {
  const isSlotSame = (drive: number, at: number, slot: number): boolean =>
    after[at]?.[slot] === drive
  const isSame =
    before.length > 0 &&
    before.every((row, at) => row.every((drive, slot) => isSlotSame(drive, at, slot)))
  const share = isSame
    ? 'its share of the data stays as it is, for the drives that are here allow no other that is closer to it'
    : 'its share of the data follows'
  return done(id, `drive ${id} weighs ${weight} now: ${share}.`)
}

/** `what`: of which it was a part. `where`: what can be taken away now. */
export function removed(
  driveId: number,
  { what, where }: { what: 'store' | 'cluster'; where: string | undefined },
): DriveOutcome {
  const line = what === 'store' ? '' : ', and out of its command line'
  const rest = where === undefined ? '' : `: ${where} can be taken away${line}`
  return done(driveId, `drive ${driveId} is no part of the ${what} any more${rest}.`)
}
