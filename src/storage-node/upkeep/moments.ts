// Moments on drives, each asked for once: for a round of deletions, before the rows are looked at.
import type { DriveId, DriveMoment, StorageNode } from '../contract.ts'

/** Of one round. */
export class Moments {
  readonly #node: Pick<StorageNode, 'momentOn'>
  readonly #known = new Map<DriveId, Promise<DriveMoment>>()

  constructor(node: Pick<StorageNode, 'momentOn'>) {
    this.#node = node
  }

  /** Those of all these drives, now. One that does not answer says so again when something is to be done there. */
  static async of(
    driveIds: readonly DriveId[],
    node: Pick<StorageNode, 'momentOn'>,
  ): Promise<Moments> {
    const moments = new Moments(node)
    await Promise.allSettled(driveIds.map((driveId) => moments.on(driveId)))
    return moments
  }

  /** The moment at which the drive was asked about first. Rejects with DriveUnavailable. */
  on(driveId: DriveId): Promise<DriveMoment> {
    const known = this.#known.get(driveId)
    if (known !== undefined) return known
    const asked = this.#node.momentOn(driveId)
    this.#known.set(driveId, asked)
    return asked
  }
}
