// Drives because of which shards stay where they are for now. Each is said once, not once for each shard; and a drive that was put
// aside is awaited: what waits for it is looked at again as soon as it may be used.
import type { Log } from '../../kit/log.ts'
import type { Blob } from '../../metadata/records.ts'
import type { DriveId, StorageNode } from '../contract.ts'

/** What is asked, and who is told. */
export interface PostponedParts {
  node: Pick<StorageNode, 'whyAside'>
  log: Log
}

/** What can not move now, and because of which drives. */
export class PostponedMoves {
  readonly #parts: PostponedParts
  /** Drives that were put aside: said until they are taken back. */
  readonly #awaited = new Set<DriveId>()
  /** Drives that gave trouble: said until the next pass begins. */
  readonly #troubled = new Set<DriveId>()

  constructor(parts: PostponedParts) {
    this.#parts = parts
  }

  /** Whether nobody waits for the drive now. */
  isAside(driveId: DriveId): boolean {
    return this.#parts.node.whyAside?.(driveId) !== undefined
  }

  /** A shard stays for now because of a drive. `why` is for people. */
  note(driveId: DriveId, why: string): void {
    const said = this.isAside(driveId) ? this.#awaited : this.#troubled
    if (said.has(driveId)) return
    said.add(driveId)
    this.#parts.log.warn({ driveId, why }, 'shards can not be moved for now because of a drive')
  }

  /** The same of a drive that was put aside. */
  noteAside(driveId: DriveId): void {
    const why = this.#parts.node.whyAside?.(driveId)
    if (why !== undefined) this.note(driveId, why)
  }

  /** Whether one of these moves can be made now; drives that keep the others waiting are noted. */
  canMoveAny({ drives }: Blob, moves: ReadonlyMap<number, DriveId>): boolean {
    let canMove = false
    for (const [slot, to] of moves) {
      const aside = [drives[slot]!, to].find((driveId) => this.isAside(driveId))
      if (aside === undefined) canMove = true
      else this.noteAside(aside)
    }
    return canMove
  }

  /** Trouble is said again. */
  passBegins(): void {
    this.#troubled.clear()
  }

  /** Whether drives were taken back for which shards waited; says so once. */
  takeBack(): boolean {
    const back = [...this.#awaited].filter((driveId) => !this.isAside(driveId))
    for (const driveId of back) this.#awaited.delete(driveId)
    return back.length > 0
  }
}
