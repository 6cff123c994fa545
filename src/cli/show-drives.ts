// Drives and what moves between them, in lines for people.
import type { DriveDetails, DriveList, MoveStatus, PassStatus } from '../gateway/admin-api.ts'
import { showBytes } from '../kit/bytes.ts'
import { alignColumns, showCount, showDuration } from './amounts.ts'
import { Countdown, showBar } from './progress.ts'

const HEAD = ['Drive', 'State', 'Weight', 'Free', 'Metadata', 'Directory'] as const

/** Of a cluster. */
const HEAD_OF_NODES = ['Drive', 'Node', ...HEAD.slice(1)]

/** All drives, and what is under way. `passes`: what is made again of drives that are gone is made by a check. */
export function showDrives(
  { drives, moving }: DriveList,
  passes: readonly PassStatus[] = [],
): string[] {
  const isOfNodes = drives.some(({ nodeId }) => nodeId !== undefined)
  const rows = drives.map((drive) => [
    String(drive.id),
    ...(isOfNodes ? [drive.nodeId ?? ''] : []),
    showState(drive),
    showCount(drive.weight),
    showSpace(drive),
    String(drive.metadataReplicas),
    drive.path ?? '(unknown)',
  ])
  const isMending = drives.some(({ state, isVacated }) => state === 'out' && !isVacated)
  const checks = isMending ? passes.filter(({ kind }) => kind === 'check') : []
  return [
    ...alignColumns([isOfNodes ? HEAD_OF_NODES : HEAD, ...rows]),
    ...checks.map((check) => `Mending   ${showPass(check)}`),
    ...(moving === undefined ? [] : showMoving(moving)),
  ]
}

/** The state of a drive, and what is left of it where it is to leave or is gone. */
export function showState(drive: DriveDetails): string {
  const { state, isLeaving, isVacated, isUnheard, reason } = drive
  const silent = isUnheard ? ', its node does not answer' : ''
  const why = reason === undefined ? '' : ` (${reason})`
  const left = isVacated ? ', vacated: it can be removed' : showLeft(drive)
  switch (state) {
    case 'active':
      return `active${silent}`
    case 'draining':
      return `draining${left}${silent}`
    case 'failed':
      return `failed${why}`
    case 'out':
      return `out${why}${isLeaving && !isVacated ? ', to be removed' : ''}${left}`
  }
}

function showLeft({ blobs, oldCopies = 0 }: DriveDetails): string {
  if (blobs === undefined) return ''
  if (blobs === 0 && oldCopies > 0) return `, ${showOldCopies(oldCopies)}`
  return `, ${showCount(blobs)} blobs left`
}

function showOldCopies(copies: number): string {
  return `${showCount(copies)} copies kept a while for readers`
}

function showSpace({ freeBytes, totalBytes }: DriveDetails): string {
  if (freeBytes === undefined || totalBytes === undefined) return '?'
  return `${showBytes(freeBytes)} of ${showBytes(totalBytes)}`
}

/** What has still to move, how fast it goes, and how long what can move takes; nothing where nothing has to. */
export function showMoving(moving: MoveStatus): string[] {
  const { phase, remainingShards, remainingBytes, remainingReEncodes } = moving
  const { bytesPerSecond, leftMs, waitingShards } = moving
  if (phase === 'counting') return ['Moving    what has to move is being counted']
  if (!remainingShards || remainingBytes === undefined) return []
  const anew = remainingReEncodes ? `, ${showCount(remainingReEncodes)} blobs to re-encode` : ''
  const shards = `${showCount(remainingShards)} shard${remainingShards === 1 ? '' : 's'}`
  const left = `${shards}, ${showBytes(remainingBytes)} left${anew}`
  const rate = bytesPerSecond ? `, ${showBytes(bytesPerSecond)}/s` : ''
  const toGo = leftMs ? `, about ${showDuration(leftMs)} to go` : ''
  const line = `Moving    ${left}${rate}${toGo}`
  if (!waitingShards) return [line]
  const waiting = isStuck(moving) ? 'they wait' : `${showCount(waitingShards)} of them waiting`
  return [line, `          ${waiting} for drives that do not answer`]
}

/** All that is left waits for drives that do not answer. */
function isStuck({ remainingShards = 0, waitingShards = 0 }: MoveStatus): boolean {
  return waitingShards > 0 && waitingShards >= remainingShards
}

/** A pass over all blobs: a bar where it is known how many there are, and the time to the end where that can be told. */
export function showPass(pass: PassStatus): string {
  const { kind, blobs, blobsExpected } = pass
  const bar = blobsExpected === undefined ? '' : `${showBar(blobs, blobsExpected)}, `
  return `${kind} ${bar}${showWalked(pass)}`
}

/** How far a pass has come, and the time to its end where that can be told. */
export function showWalked({ blobs, bytes, leftMs }: PassStatus): string {
  const left = leftMs ? `, about ${showDuration(leftMs)} to go` : ''
  return `${showCount(blobs)} blobs of ${showBytes(bytes)}${left}`
}

/** What else goes on while a drive is emptied. */
export interface BesideDraining {
  moving: MoveStatus | undefined
  passes: readonly PassStatus[]
}

/** One line about a drive that is emptied, or made again on others where it is gone. */
export class DrainProgress {
  readonly #countdown = new Countdown()

  /** As it stands now. */
  show(drive: DriveDetails, { moving, passes }: BesideDraining, nowMs: number): string {
    const { id, state, blobs, metadataReplicas, oldCopies = 0 } = drive
    const check = passes.find(({ kind }) => kind === 'check')
    if (state === 'out' && check) return `drive ${id} is made again: ${showPass(check)}`
    if (blobs === undefined) return `drive ${id}: what is on it is being counted`
    const waits = blobs > 0 && moving !== undefined && isStuck(moving)
    const bar = waits ? this.#countdown.showBar(blobs, nowMs) : this.#countdown.show(blobs, nowMs)
    const rate = blobs > 0 && moving?.bytesPerSecond ? `${showBytes(moving.bytesPerSecond)}/s` : ''
    const metadata = metadataReplicas > 0 ? `${metadataReplicas} replicas of metadata left` : ''
    const copies = blobs === 0 && oldCopies > 0 ? showOldCopies(oldCopies) : ''
    const verifying = blobs + metadataReplicas + oldCopies === 0 ? 'verifying' : ''
    const waiting = waits ? 'waiting for drives that do not answer' : ''
    const parts = [`${showCount(blobs)} blobs left`, metadata, copies, rate, waiting, verifying]
    return `drive ${id} ${[bar, ...parts].filter((part) => part !== '').join(', ')}`
  }
}
