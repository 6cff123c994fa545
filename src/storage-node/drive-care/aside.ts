// Drives that are put aside: they work or hang, nobody knows, and nobody waits for them until they are taken back.
// What is under way on them goes on to its end, whenever that is; those who waited hear that the drive failed them.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'

/** Which drives are aside, and the ones who are to hear when one is put there. */
export class AsideDrives {
  readonly #reasons = new Map<number, string>()
  readonly #waiting = new Map<number, Set<(reason: DriveUnavailable) => void>>()

  has(driveId: number): boolean {
    return this.#reasons.has(driveId)
  }

  /** Why a drive is aside; undefined when it is not. */
  reasonOf(driveId: number): string | undefined {
    return this.#reasons.get(driveId)
  }

  /** Everyone who waits for the drive hears of it now. */
  put(driveId: number, reason: string): void {
    this.#reasons.set(driveId, reason)
    const waiting = this.#waiting.get(driveId)
    this.#waiting.delete(driveId)
    for (const giveUp of waiting ?? []) giveUp(unavailable(driveId, reason))
  }

  takeBack(driveId: number): void {
    this.#reasons.delete(driveId)
  }

  /** Throws when the drive is aside. */
  check(driveId: number): void {
    const reason = this.#reasons.get(driveId)
    if (reason !== undefined) throw unavailable(driveId, reason)
  }

  /**
   * What `work` gives, unless the drive is or is put aside first: then DriveUnavailable. Work that is given up goes on;
   * `afterwards` gets what it gives in the end, to let go of it.
   */
  orAside<T>(
    driveId: number,
    work: () => Promise<T>,
    afterwards: (late: PromiseSettledResult<T>) => unknown = () => {},
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.check(driveId)
      const waiting = this.#waitingFor(driveId)
      let isGivenUp = false
      const giveUp = (reason: DriveUnavailable): void => {
        isGivenUp = true
        reject(reason)
      }
      waiting.add(giveUp)
      work().then(
        (value) => {
          waiting.delete(giveUp)
          if (isGivenUp) afterwards({ status: 'fulfilled', value })
          else resolve(value)
        },
        (reason) => {
          waiting.delete(giveUp)
          if (isGivenUp) afterwards({ status: 'rejected', reason })
          else reject(reason)
        },
      )
    })
  }

  #waitingFor(driveId: number): Set<(reason: DriveUnavailable) => void> {
    const known = this.#waiting.get(driveId)
    if (known !== undefined) return known
    const fresh = new Set<(reason: DriveUnavailable) => void>()
    this.#waiting.set(driveId, fresh)
    return fresh
  }
}

function unavailable(driveId: number, reason: string): DriveUnavailable {
  return new DriveUnavailable(driveId, 'failed', { cause: reason })
}
