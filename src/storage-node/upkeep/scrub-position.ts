// How far the scrub has come, kept on the drives: a pass of two weeks outlives restarts. It is a hint about where to go on;
// a file that is missing or damaged only makes the scrub begin anew.
import { crc32 } from 'node:zlib'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import { LATER_FILES } from '../drive-format.ts'
import { type FileDrive, readSmallFile, replaceSmallFile } from '../small-file.ts'
import type { WalkPosition } from './blob-walk.ts'

/** Its name on every drive. */
export const SCRUB_POSITION_FILE = LATER_FILES.scrubPosition

/** What outlives a restart. */
export interface ScrubPosition {
  /** When it was written: of several the newest counts. Milliseconds since 1970, as is all time here. */
  savedMs: number
  /** The pass under way; absent between two of them. */
  walk?: WalkPosition | undefined
  /** When the last pass that ended was begun. */
  endedStartedMs?: number | undefined
  /** When the last scrub began that left nothing owed. */
  lastVerifiedMs?: number | undefined
}

/** Keeps the position on every drive that works. */
export class ScrubPositions {
  readonly #world: Pick<World, 'disk'>
  readonly #log: Log
  readonly #drives: () => readonly (FileDrive & { readonly failure: unknown })[]

  constructor(parts: {
    world: Pick<World, 'disk'>
    log: Log
    drives: () => readonly (FileDrive & { readonly failure: unknown })[]
  }) {
    this.#world = parts.world
    this.#log = parts.log
    this.#drives = parts.drives
  }

  /** The newest of all drives; undefined when none has a readable one. */
  async load(): Promise<ScrubPosition | undefined> {
    let newest: ScrubPosition | undefined
    for (const drive of this.#working()) {
      const found = await readSmallFile(this.#world, drive, SCRUB_POSITION_FILE)
        .then((bytes) => bytes && parsePosition(bytes))
        .catch((error) => this.#say(drive, error))
      if (found && found.savedMs > (newest?.savedMs ?? Number.NEGATIVE_INFINITY)) newest = found
    }
    return newest
  }

  /** Writes it to every drive that takes it. Never rejects. */
  async save(position: ScrubPosition): Promise<void> {
    const file = { name: SCRUB_POSITION_FILE, bytes: positionBytes(position) }
    for (const drive of this.#working())
      await replaceSmallFile(this.#world, drive, file).catch((error) => this.#say(drive, error))
  }

  #working(): FileDrive[] {
    return this.#drives().filter(({ failure }) => failure === undefined)
  }

  #say({ path }: FileDrive, error: unknown): undefined {
    this.#log.debug({ path, error: String(error) }, 'the position of the scrub is not kept here')
    return undefined
  }
}

/** One line of JSON and its checksum. */
function positionBytes(position: ScrubPosition): Uint8Array {
  const text = JSON.stringify(position)
  return Buffer.from(`${text}\n${checkOf(text)}\n`)
}

function parsePosition(bytes: Uint8Array): ScrubPosition | undefined {
  const [text, check] = Buffer.from(bytes).toString('utf8').split('\n')
  if (text === undefined || check !== checkOf(text)) return undefined
  return JSON.parse(text) as ScrubPosition
}

function checkOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}
