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

type CopyDrive = ReturnType<StateCopyParts['drives']>[number]

/** What is known of the copy on a drive. */
interface Kept {
  /** The state that was copied last, or was refused last. */
  state: ClusterState
  /** How often the drive refused a copy since it took one. */
  refusals: number
  /** Looks at which it is left alone now. */
  waits: number
}

// Looks come every second. A drive that is full, say, is asked about once a minute in the end.
const WAITS_MAX = 64

/** The copies of a store. */
export class StateCopies {
  readonly #parts: StateCopyParts
  /** A drive that comes back is another object, and gets a copy anew. */
  readonly #kept = new WeakMap<CopyDrive, Kept>()
  readonly #turns = new Turns()

  constructor(parts: StateCopyParts) {
    this.#parts = parts
  }

  /** Writes them where the state is another one than that which a drive took last. One that refused it is asked again. */
  async keepUp(): Promise<void> {
    const behind = this.#working().filter((drive) => this.#isDue(drive))
    if (behind.length > 0) await this.#turns.run(() => this.#keepOn(behind))
  }

  /** Reads every copy and writes it again where it is not what it should be. Damaged is what is no copy at all. */
  scrub(): Promise<FilesLook> {
    // One at a time: two would use the same draft.
    return this.#turns.run(() => this.#keepOn(this.#working()))
  }

  #working(): CopyDrive[] {
    return this.#parts.drives().filter(({ failure }) => failure === undefined)
  }

  /** Whether the drive lacks the copy, and is not left alone at this look for having refused it. */
  #isDue(drive: CopyDrive): boolean {
    const kept = this.#kept.get(drive)
    if (kept?.state !== this.#parts.coordinator.state) return true
    if (kept.refusals === 0) return false
    kept.waits -= 1
    return kept.waits < 0
  }

  async #keepOn(drives: readonly CopyDrive[]): Promise<FilesLook> {
    const { coordinator, world } = this.#parts
    const { state } = coordinator
    const { bytes } = encodeDecision({ state, ancestors: [], held: {} })
    const look = { files: 0, damaged: 0 }
    for (const drive of drives) {
      look.files += 1
      try {
        if ((await keepOn(drive, bytes, world)) === 'damaged') look.damaged += 1
        this.#kept.set(drive, { state, refusals: 0, waits: 0 })
      } catch (error) {
        this.#noteRefusal(drive, state, error)
      }
    }
    return look
  }

  #noteRefusal(drive: CopyDrive, state: ClusterState, error: unknown): void {
    const refusals = (this.#kept.get(drive)?.refusals ?? 0) + 1
    const waits = Math.min(2 ** (refusals - 1), WAITS_MAX)
    this.#kept.set(drive, { state, refusals, waits })
    const data = { path: drive.path, error: String(error) }
    const { log } = this.#parts
    // Once is enough for people, until it took one again.
    if (refusals === 1) log.warn(data, 'a drive keeps no copy of the state of the store')
    else log.debug(data, 'a drive still keeps no copy of the state of the store')
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
