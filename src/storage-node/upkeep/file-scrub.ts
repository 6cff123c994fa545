// The part of a scrub that reads what no blob is: rows and logs of metadata, indexes, decisions, markers. Each kind of file
// has someone who finds a flipped byte in it and mends it from what is right elsewhere (docs/guides/operating.md).
import type { Log } from '../../kit/log.ts'

/** What one look at files of a kind gave. What was damaged was mended, as far as that can be. */
export interface FilesLook {
  files: number
  damaged: number
}

/** Reads all files of one kind, verifies and mends them. */
export interface FileScrubber {
  /** For the log, as `metadata rows`. */
  what: string
  /** Calls `pace` between files, which throws when work is to end. */
  look(pace: () => Promise<void>): Promise<FilesLook>
}

/** What was found since the start. */
export interface FileCounts {
  checkedFiles: number
  damagedFiles: number
}

/** Mending one kind of file may need another: whoever still finds damage after so many rounds can not mend it. */
const ROUNDS_MAX = 3

/** All that looks at files beside the blobs. */
export class FileScrub {
  readonly #scrubbers: readonly FileScrubber[]
  readonly #log: Log
  readonly #counts: FileCounts = { checkedFiles: 0, damagedFiles: 0 }
  readonly #damageElsewhere: () => number
  #cleanAt: number | undefined

  /** `damageElsewhere`: a number that grows when damage of these files is met by others. */
  constructor(
    scrubbers: readonly FileScrubber[],
    parts: { log: Log; damageElsewhere?: () => number },
  ) {
    this.#scrubbers = scrubbers
    this.#log = parts.log
    this.#damageElsewhere = parts.damageElsewhere ?? (() => 0)
  }

  /** The last run ended with a round in which everything was as it should be, and nothing was met since. */
  get isClean(): boolean {
    return this.#cleanAt !== undefined && this.#cleanAt === this.#damageElsewhere()
  }

  get counts(): FileCounts {
    return { ...this.#counts }
  }

  /** Another process looked at everything last, and left it as it should be; its word counts until this one has looked. */
  takeOver(): void {
    if (this.#damageElsewhere() === 0) this.#cleanAt ??= 0
  }

  /** Looks at everything until nothing is found. False when something can not be mended. */
  async run(pace: () => Promise<void>): Promise<boolean> {
    this.#cleanAt = undefined
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const before = this.#damageElsewhere()
      const damaged = await this.#round(pace)
      if (damaged === 0 && before === this.#damageElsewhere()) {
        this.#cleanAt = before
        return true
      }
    }
    return false
  }

  /** One kind that can not be looked at does not keep the others from it, but nothing is clean then. */
  async #round(pace: () => Promise<void>): Promise<number> {
    let damaged = 0
    for (const { what, look } of this.#scrubbers) {
      await pace()
      try {
        const found = await look(pace)
        this.#counts.checkedFiles += found.files
        this.#counts.damagedFiles += found.damaged
        damaged += found.damaged
        if (found.damaged > 0)
          this.#log.warn({ what, ...found }, 'damaged files were found and are mended')
      } catch (error) {
        await pace() // Throws when it is only that work is to end.
        this.#log.warn({ what, error: String(error) }, 'files could not be verified')
        damaged += 1
      }
    }
    return damaged
  }
}
