// Drives and what moves between them, in lines for people.
import type { DriveDetails, DriveList, MoveStatus } from '../gateway/admin-api.ts'
import { alignColumns, showBytes, showCount, showDuration } from './amounts.ts'
import { Countdown } from './progress.ts'

const HEAD = ['Drive', 'State', 'Weight', 'Free', 'Metadata', 'Directory'] as const

/** All drives, and what is under way. */
export function showDrives({ drives, moving }: DriveList): string[] {
  const rows = drives.map((drive) => [
    String(drive.id),
    showState(drive),
    showCount(drive.weight),
    showSpace(drive),
    String(drive.metadataReplicas),
    drive.path ?? '(unknown)',
  ])
  return [...alignColumns([HEAD, ...rows]), ...(moving === undefined ? [] : showMoving(moving))]
}

/** The state of a drive, and what is left of it where it is to leave or is gone. */
export function showState(drive: DriveDetails): string {
  const { state, isLeaving, isVacated, reason } = drive
  const why = reason === undefined ? '' : ` (${reason})`
  const left = isVacated ? ', vacated: it can be removed' : showLeft(drive)
  switch (state) {
    case 'active':
      return 'active'
    case 'draining':
      return `draining${left}`
    case 'failed':
      return `failed${why}`
    case 'out':
      return `out${why}${isLeaving && !isVacated ? ', to be removed' : ''}${left}`
  }
}

function showLeft({ blobs }: DriveDetails): string {
  return blobs === undefined ? '' : `, ${showCount(blobs)} blobs left`
}

function showSpace({ freeBytes, totalBytes }: DriveDetails): string {
  if (freeBytes === undefined || totalBytes === undefined) return '?'
  return `${showBytes(freeBytes)} of ${showBytes(totalBytes)}`
}

/** What has still to move, how fast it goes, and how long it takes; nothing where nothing moves. */
export function showMoving(moving: MoveStatus): string[] {
  const { phase, remainingShards, remainingBytes, bytesPerSecond } = moving
  if (phase === 'counting') return ['Moving    what has to move is being counted']
  if (!remainingShards || remainingBytes === undefined) return []
  const left = `${showCount(remainingShards)} shards, ${showBytes(remainingBytes)} left`
  if (!bytesPerSecond) return [`Moving    ${left}`]
  const goMs = (remainingBytes / bytesPerSecond) * 1000
  return [`Moving    ${left}, ${showBytes(bytesPerSecond)}/s, about ${showDuration(goMs)} to go`]
}

/** One line about a drive that is emptied. */
export class DrainProgress {
  readonly #countdown = new Countdown()

  /** As it stands now. */
  show(drive: DriveDetails, moving: MoveStatus | undefined, nowMs: number): string {
    const { id, blobs, metadataReplicas } = drive
    if (blobs === undefined) return `drive ${id}: what is on it is being counted`
    const bar = this.#countdown.show(blobs, nowMs)
    const rate = moving?.bytesPerSecond ? `, ${showBytes(moving.bytesPerSecond)}/s` : ''
    const metadata = metadataReplicas > 0 ? `, ${metadataReplicas} replicas of metadata` : ''
    const verifying = blobs === 0 && metadataReplicas === 0 ? ', verifying' : ''
    return `drive ${id} ${bar}, ${showCount(blobs)} blobs${metadata} left${rate}${verifying}`
  }
}
