// Watches the drives: one that fails is recorded as out on all others, once, before anybody is
// acknowledged without it.
import type { Log } from '../kit/log.ts'
import type { Drive } from '../storage-node/drive.ts'

/** Parts of the watch. */
export interface WatchParts {
  log: Log
  /** Resolves when every other drive remembers that this one is out. */
  recordOut(drive: Drive, reason: string): Promise<void>
}

/** Hears of failures and knows which of them are on record. */
export class DriveWatch {
  readonly #drives = new Map<number, Drive>()
  readonly #parts: WatchParts
  readonly #records = new Map<number, Promise<void>>()

  constructor(parts: WatchParts) {
    this.#parts = parts
  }

  /** Watches a drive; one that had its id before, and failed, is forgotten. */
  add(drive: Drive): void {
    this.#drives.set(drive.id, drive)
    this.#records.delete(drive.id)
    drive.onFailure((cause) => {
      if (this.#drives.get(drive.id) === drive) this.#failed(drive, cause)
    })
  }

  /** What happens to the drive is of no interest any more. */
  remove(drive: Drive): void {
    if (this.#drives.get(drive.id) === drive) this.#drives.delete(drive.id)
  }

  /** Resolves once the failure of a drive is on record; rejects when it could not be recorded. */
  async recorded(driveId: number): Promise<void> {
    await this.#records.get(driveId)
  }

  #failed(drive: Drive, cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#parts.log.error({ path: drive.path, reason }, `drive ${drive.id} failed and is out`)
    const record = this.#parts.recordOut(drive, reason)
    record.catch((error) => {
      this.#parts.log.error(
        { driveId: drive.id, error: String(error) },
        'the failure of a drive could not be recorded: writes that need it are refused',
      )
    })
    this.#records.set(drive.id, record)
  }
}
