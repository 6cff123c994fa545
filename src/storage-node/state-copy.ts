// A copy of the coordinator's state at the root of every drive, beside `coordinator/`: what `kintsugi recover` makes a
// new coordinator of when no decision is left on any drive. Nothing else believes it, and no choice at a start reads it.

import type { Log } from '../kit/log.ts'
import { Turns } from '../kit/turns.ts'
import type { World } from '../kit/world.ts'
import type { ClusterState, Coordinator } from '../placement/coordinator.ts'
import { decodeDecision, encodeDecision } from '../placement/coordinator-format.ts'
import type { Drive } from './drive.ts'
import { LATER_FILES } from './drive-format.ts'
import { type FileDrive, readSmallFile, replaceSmallFile } from './small-file.ts'
import type { FilesLook } from './upkeep/file-scrub.ts'

/** Its name on every drive. */
export const STATE_COPY_FILE = LATER_FILES.stateCopy

/** Whose state is copied, and onto which drives. */
export interface StateCopyParts {
  world: Pick<World, 'disk'>
  log: Log
  coordinator: Pick<Coordinator, 'state'>
  /** Those that are here, failed ones too. */
  drives(): readonly (FileDrive & Pick<Drive, 'failure'>)[]
}

/** The copies of a store. */
export class StateCopies {
  readonly #parts: StateCopyParts
  #copied: ClusterState | undefined
  readonly #turns = new Turns()

  constructor(parts: StateCopyParts) {
    this.#parts = parts
  }

  /** Writes them where the state is another one than that which was copied last. */
  async keepUp(): Promise<void> {
    if (this.#parts.coordinator.state !== this.#copied) await this.scrub()
  }

  /** Reads every copy and writes it again where it is not what it should be. Damaged is what is no copy at all. */
  scrub(): Promise<FilesLook> {
    // One at a time: two would use the same draft.
    return this.#turns.run(() => this.#scrub())
  }

  async #scrub(): Promise<FilesLook> {
    const { coordinator, drives, log, world } = this.#parts
    const { state } = coordinator
    const { bytes } = encodeDecision({ state, ancestors: [], held: {} })
    const look = { files: 0, damaged: 0 }
    for (const drive of drives()) {
      if (drive.failure !== undefined) continue
      look.files += 1
      try {
        if ((await keepOn(drive, bytes, world)) === 'damaged') look.damaged += 1
      } catch (error) {
        const data = { path: drive.path, error: String(error) }
        log.warn(data, 'a drive keeps no copy of the state of the store')
      }
    }
    this.#copied = state
    return look
  }
}

/** The state in the copy of a drive; undefined when it has none, or one that is damaged. */
export async function readStateCopy(
  drive: FileDrive,
  world: Pick<World, 'disk'>,
): Promise<ClusterState | undefined> {
  const bytes = await readSmallFile(world, drive, STATE_COPY_FILE)
  return bytes && decodeDecision(bytes)?.state
}

/** What the drive had before; it has these bytes now. */
async function keepOn(
  drive: FileDrive,
  bytes: Uint8Array,
  world: Pick<World, 'disk'>,
): Promise<'same' | 'another' | 'damaged'> {
  const kept = await readSmallFile(world, drive, STATE_COPY_FILE)
  if (kept && Buffer.compare(kept, bytes) === 0) return 'same'
  // It holds secrets, as decisions do: for the owner's eyes only.
  await replaceSmallFile(world, drive, { name: STATE_COPY_FILE, bytes, permissions: 0o600 })
  return kept && decodeDecision(kept) === undefined ? 'damaged' : 'another'
}
