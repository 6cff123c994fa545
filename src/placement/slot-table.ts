// The table of slots while it is edited: who holds which position of which partition, and how much everyone holds.

/** A position that nobody holds yet. Drive ids begin at 1. */
export const HOLE = 0

/** Rows of as many positions as the code has shards, counted as they change. */
export class SlotTable {
  readonly width: number
  readonly rows: number[][]
  /** By drive: how many slots of each position it holds. */
  readonly #held = new Map<number, number[]>()
  /** By drive: the partitions in which it holds a slot. */
  readonly #partitions = new Map<number, Set<number>>()

  /** Positions that a row does not have, or whose drive does not stay, are holes. */
  constructor(
    slots: readonly (readonly number[])[],
    width: number,
    stays: (driveId: number) => boolean,
  ) {
    this.width = width
    this.rows = slots.map(() => Array<number>(width).fill(HOLE))
    for (const [partition, row] of slots.entries()) {
      for (const [position, driveId] of row.slice(0, width).entries()) {
        if (stays(driveId)) this.give(partition, position, driveId)
      }
    }
  }

  /** Slots of a drive. */
  load(driveId: number): number {
    return this.#partitions.get(driveId)?.size ?? 0
  }

  /** Slots of a drive at one position. */
  loadAt(driveId: number, position: number): number {
    return this.#held.get(driveId)?.[position] ?? 0
  }

  /** Where a drive holds a slot. */
  partitionsOf(driveId: number): Iterable<number> {
    return this.#partitions.get(driveId) ?? []
  }

  /** The slot changes hands; to HOLE, it is given up. */
  give(partition: number, position: number, driveId: number): void {
    const row = this.rows[partition]!
    const before = row[position]!
    this.#count(before, position, -1)
    this.#partitions.get(before)?.delete(partition)
    row[position] = driveId
    this.#count(driveId, position, 1)
    if (driveId === HOLE) return
    const partitions = this.#partitions.get(driveId) ?? new Set()
    partitions.add(partition)
    this.#partitions.set(driveId, partitions)
  }

  #count(driveId: number, position: number, change: number): void {
    if (driveId === HOLE) return
    const held = this.#held.get(driveId) ?? Array<number>(this.width).fill(0)
    held[position]! += change
    this.#held.set(driveId, held)
  }
}
