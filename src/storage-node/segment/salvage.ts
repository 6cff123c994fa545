// Reads a segment of a disk with bad sectors: zeros stand for what can not be read, and where they stand is known.
import type { ReadAt } from './cell-reads.ts'
import type { ScanSource } from './segment-scan.ts'

/** What is read. `onHole` hears of every sector that can not be read; what it throws ends the read. */
export interface SalvageParts {
  segment: number
  bytes: number
  attempt: ReadAt
  onHole?: (() => void) | undefined
}

// What a disk can not read is lost, a sector at a time.
const SECTOR_BYTES = 4096

/** A segment, as far as it can be read. Nothing when its file is gone. */
export class Salvage implements ScanSource {
  readonly segment: number
  readonly bytes: number
  readonly #attempt: ReadAt
  readonly #onHole: (() => void) | undefined
  /** Where sectors begin that can not be read. A disk takes seconds to say so: none is asked for twice. */
  readonly #holes = new Set<number>()

  constructor({ segment, bytes, attempt, onHole }: SalvageParts) {
    this.segment = segment
    this.bytes = bytes
    this.#attempt = attempt
    this.#onHole = onHole
  }

  /** As of ScanSource. */
  async read(target: Uint8Array, position: number): Promise<number> {
    if (this.isUnread(position, position + target.length))
      return await this.#readSectors(target, position)
    const count = await this.#attempt(target, position)
    if (count === 'medium-error') return await this.#readSectors(target, position)
    return count === 'gone' ? 0 : count
  }

  /** Whether something between these offsets was read, and could not be. */
  isUnread(from: number, to: number): boolean {
    if (this.#holes.size === 0) return false
    for (let at = sectorOf(from); at < to; at += SECTOR_BYTES) if (this.#holes.has(at)) return true
    return false
  }

  async #readSectors(target: Uint8Array, position: number): Promise<number> {
    let at = 0
    while (at < target.length) {
      const begin = position + at
      const sector = target.subarray(at, at + SECTOR_BYTES - (begin % SECTOR_BYTES))
      const count = this.#holes.has(sectorOf(begin))
        ? 'medium-error'
        : await this.#attempt(sector, begin)
      if (count === 'gone') return 0
      if (count === 'medium-error') {
        this.#noteHole(sectorOf(begin))
        sector.fill(0)
      } else if (count < sector.length) return at + count
      at += sector.length
    }
    return at
  }

  #noteHole(sector: number): void {
    if (this.#holes.has(sector)) return
    this.#holes.add(sector)
    this.#onHole?.()
  }
}

function sectorOf(offset: number): number {
  return offset - (offset % SECTOR_BYTES)
}
