// Drives in the order in which they are asked to be spares: those with the fewest by their weights first, and among those of as
// many, those first that were asked longest ago. So nobody has to look at all of them for every row of a table.
import type { MapDrive } from './cluster-map.ts'

interface Queued {
  drive: MapDrive
  spares: number
  load: number
}

/** Counts the spares of the drives while they are given out. */
export class SpareQueue {
  readonly #queue: Queued[]

  constructor(drives: readonly MapDrive[]) {
    this.#queue = drives.map((drive) => ({ drive, spares: 0, load: 0 }))
  }

  /** The first ones that may, as many as there are up to `count`; more of them only where all have as many spares. */
  first(count: number, may: (drive: MapDrive) => boolean): MapDrive[] {
    const found: MapDrive[] = []
    let least: number | undefined
    for (const { drive, load } of this.#queue) {
      if (found.length >= count || (least !== undefined && load > least)) break
      if (!may(drive)) continue
      least ??= load
      found.push(drive)
    }
    return found
  }

  /** The drive is the spare of one more row. */
  use(drive: MapDrive): void {
    const at = this.#queue.findIndex((queued) => queued.drive === drive)
    const [used] = this.#queue.splice(at, 1)
    if (used === undefined) return
    used.spares += 1
    used.load = used.spares / drive.weight
    this.#queue.splice(this.#placeOf(used.load), 0, used)
  }

  /** Behind all of the same load. */
  #placeOf(load: number): number {
    let [low, high] = [0, this.#queue.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#queue[middle]!.load <= load) low = middle + 1
      else high = middle
    }
    return low
  }
}
