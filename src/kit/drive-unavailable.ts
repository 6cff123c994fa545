// The world failed: a drive can not serve. Thrown by storage, caught where a decision can be made.

/** A drive that can not be used now. `trouble` says whether it is full, failed or not known here. */
export class DriveUnavailable extends Error {
  override readonly name = 'DriveUnavailable'
  readonly code = 'DRIVE_UNAVAILABLE'
  readonly driveId: number
  readonly trouble: 'failed' | 'full' | 'unknown'

  constructor(
    driveId: number,
    trouble: 'failed' | 'full' | 'unknown',
    options?: { cause?: unknown },
  ) {
    super(`drive ${driveId} is ${trouble}`, options)
    this.driveId = driveId
    this.trouble = trouble
  }
}

/** Whether `error` means that a drive has no room. */
export function isFull(error: unknown): error is DriveUnavailable {
  return error instanceof DriveUnavailable && error.trouble === 'full'
}
