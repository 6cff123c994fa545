// Edits the table of slots when drives come, leave or change their weight: a position changes hands only when its
// drive must give it up, and no more of them than balance asks for. Pure: the same map gives the same table.
import { assert } from '../kit/assert.ts'
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import type { ClusterMap, MapDrive } from './cluster-map.ts'
import { FailureDomains } from './failure-domains.ts'
import { best, score } from './rendezvous.ts'
import { HOLE, SlotTable } from './slot-table.ts'
import { SpareQueue } from './spare-queue.ts'

/** Positions behind those of the code, for drives that are out. */
const SPARE_SLOTS = 2

/** A drive may have so much more or less than its share: correcting further would move data for nothing. */
const TOLERANCE = 0.02

/** So many idle drives of a cluster are asked which of them a row likes best as its spare. */
const SPARES_ASKED = 8

/** What a table follows from: the drives, the code, and the table before. */
export type Layout = Pick<ClusterMap, 'drives' | 'code' | 'seed' | 'slots'>

/** How many drives every partition has. */
export function slotCountFor(driveCount: number, code: ErasureCode): number {
  return Math.min(driveCount, shardCount(code) + SPARE_SLOTS)
}

/** Drives that have a part in the table: all but those that are to be emptied. */
export function stayingDrives(drives: readonly MapDrive[]): MapDrive[] {
  return drives.filter(({ isLeaving }) => !isLeaving)
}

/**
 * The table for these drives: rows of distinct drives, those of the code first, spares behind. Drives that are out keep
 * what they have and get nothing. There must be as many drives that stay as the code has shards.
 */
export function rebalance(layout: Layout): number[][] {
  const edit = new Edit(layout)
  edit.fillHoles()
  edit.correct()
  return edit.withSpares()
}

/**
 * How many of the slots are each drive's by weight. No drive has more than one slot of a partition: what is too much
 * for it is shared by the others.
 */
export function idealLoads(
  drives: readonly MapDrive[],
  partitionCount: number,
  width: number,
  domains?: FailureDomains,
): Map<number, number> {
  if (domains) return idealLoadsOf(drives, partitionCount, width, domains)
  const ideals = new Map<number, number>()
  let open = [...drives]
  let left = partitionCount * width
  while (open.length > 0) {
    const perWeight = left / open.reduce((sum, { weight }) => sum + weight, 0)
    const full = open.filter(({ weight }) => weight * perWeight >= partitionCount)
    if (full.length === 0) {
      for (const { id, weight } of open) ideals.set(id, weight * perWeight)
      break
    }
    for (const { id } of full) ideals.set(id, partitionCount)
    left -= full.length * partitionCount
    open = open.filter((drive) => !full.includes(drive))
  }
  return ideals
}

/** As above, where nodes and zones may have only so many slots of a partition: all loads grow by weight until one is full. */
function idealLoadsOf(
  drives: readonly MapDrive[],
  partitionCount: number,
  width: number,
  domains: FailureDomains,
): Map<number, number> {
  const ideals = new Map<number, number>()
  const weights = new Map(drives.map(({ id, weight }) => [id, weight]))
  const groups = [
    ...drives.map(({ id }) => ({ ids: [id], most: 1 })),
    ...domains.groups(drives, width),
  ]
  const weigh = (ids: readonly number[]): number =>
    ids.reduce((sum, id) => sum + (ideals.has(id) ? 0 : weights.get(id)!), 0)
  const given = (ids: readonly number[]): number =>
    ids.reduce((sum, id) => sum + (ideals.get(id) ?? 0), 0)
  const all = drives.map(({ id }) => id)
  while (ideals.size < drives.length) {
    const fair = (partitionCount * width - given(all)) / weigh(all)
    const open = groups.filter(({ ids }) => ids.some((id) => !ideals.has(id)))
    const fullAt = ({ ids, most }: (typeof groups)[number]): number =>
      (partitionCount * most - given(ids)) / weigh(ids)
    const first = best(open, (group) => -fullAt(group))
    const perWeight = Math.min(fair, fullAt(first))
    for (const id of perWeight < fair ? first.ids : all)
      if (!ideals.has(id)) ideals.set(id, weights.get(id)! * perWeight)
  }
  return ideals
}

/** The ideal in whole slots of each position, so that their sums are right for every position, and nearly for every drive. */
function positionShares(
  ideals: ReadonlyMap<number, number>,
  width: number,
): Map<number, readonly number[]> {
  let before = 0
  return new Map(
    [...ideals].map(([id, ideal]) => {
      const after = before + ideal / width
      // Each position rounds at another point: no drive is favoured by all of them.
      const roundedAt = (sum: number, position: number): number =>
        Math.floor(sum + (position + 0.5) / width)
      const shares = Array.from(
        { length: width },
        (_, position) => roundedAt(after, position) - roundedAt(before, position),
      )
      before = after
      return [id, shares]
    }),
  )
}

/** One edit of a table. */
class Edit {
  readonly #layout: Layout
  readonly #members: readonly MapDrive[]
  /** Those that may get slots. */
  readonly #takers: readonly MapDrive[]
  readonly #ideals: ReadonlyMap<number, number>
  /** Slots at each position, in whole numbers. */
  readonly #shares: ReadonlyMap<number, readonly number[]>
  readonly #table: SlotTable
  /** Undefined where drives fail one by one. */
  readonly #domains: FailureDomains | undefined
  readonly #scores = new Map<number, number[]>()

  constructor(layout: Layout) {
    const { drives, code, slots } = layout
    const width = shardCount(code)
    this.#layout = layout
    this.#members = stayingDrives(drives)
    assert(this.#members.length >= width, 'the code fits on the drives that stay')
    this.#takers = this.#members.filter(({ state }) => state === 'active')
    this.#domains = FailureDomains.of(layout)
    this.#ideals = idealLoads(this.#members, slots.length, width, this.#domains)
    this.#shares = positionShares(this.#ideals, width)
    const ids = new Set(this.#members.map(({ id }) => id))
    this.#table = new SlotTable(slots, width, (driveId) => ids.has(driveId))
    this.#clearCrowds()
  }

  /** What a node or a zone has too much of, since drives or limits are others now, is given up. */
  #clearCrowds(): void {
    if (this.#domains === undefined) return
    for (const [partition, row] of this.#table.rows.entries()) {
      for (const [position, driveId] of row.entries()) {
        if (driveId === HOLE) continue
        const before = row.slice(0, position)
        const isRoomy = this.#domains.allows(before, position, driveId, 'without-copies')
        if (!isRoomy) this.#table.give(partition, position, HOLE)
      }
    }
  }

  /** Position by position, so that each drive has its share of every one: small objects lie on the first few. */
  fillHoles(): void {
    for (let position = 0; position < this.#table.width; position += 1) {
      for (const [partition, row] of this.#table.rows.entries()) {
        if (row[position] !== HOLE) continue
        this.#table.give(partition, position, this.#chooseTaker(partition, position).id)
      }
    }
  }

  /** Slots change hands until nobody has much more or less than their share, along the shortest way. */
  correct(): void {
    for (;;) {
      const giver = best(this.#members, ({ id }) => this.#strain(id))
      const lacking = this.#takers.filter(({ id }) => this.#surplus(id) < 0)
      if (lacking.length === 0) return
      const taker = best(lacking, ({ id }) => -this.#strain(id))
      if (this.#strain(giver.id) <= 1 && this.#strain(taker.id) >= -1) return
      const way = this.#findWay(giver, taker)
      if (!way) return
      for (const [from, to] of way) this.#pass(from, to)
    }
  }

  /** The rows with spares behind. Nothing lies on spares but what drives that are out left to them: they cost no moves. */
  withSpares(): number[][] {
    const rows = this.#table.rows.map((row) => [...row])
    const width = slotCountFor(this.#members.length, this.#layout.code)
    return this.#domains === undefined
      ? this.#withBestSpares(rows, width)
      : this.#withIdleSpares(rows, width, this.#domains)
  }

  #withBestSpares(rows: number[][], width: number): number[][] {
    const spares = new Map<number, number>()
    const load = ({ id, weight }: MapDrive): number => (spares.get(id) ?? 0) / weight
    for (let position = this.#table.width; position < width; position += 1) {
      for (const [partition, row] of rows.entries()) {
        const free = this.#members.filter(({ id }) => !row.includes(id))
        const least = Math.min(...free.map(load))
        const idle = free.filter((drive) => load(drive) <= least)
        const { id } = best(idle, (drive) => this.#score(drive, partition))
        row.push(id)
        spares.set(id, (spares.get(id) ?? 0) + 1)
      }
    }
    return rows
  }

  /** In a cluster, to ask all of a thousand drives for every row would take seconds, and any that is idle will do. */
  #withIdleSpares(rows: number[][], width: number, domains: FailureDomains): number[][] {
    const queue = new SpareQueue(this.#members)
    for (let position = this.#table.width; position < width; position += 1) {
      for (const [partition, row] of rows.entries()) {
        const isRoomy = domains.gate(row, row.length)
        const isFree = ({ id }: MapDrive): boolean => !row.includes(id)
        const roomy = queue.first(SPARES_ASKED, (drive) => isRoomy(drive.id) && isFree(drive))
        const asked = roomy.length > 0 ? roomy : queue.first(SPARES_ASKED, isFree)
        const chosen = best(asked, (drive) => this.#score(drive, partition))
        row.push(chosen.id)
        queue.use(chosen)
      }
    }
    return rows
  }

  /** For a position without a drive: who lacks that position most, and among those whom the partition likes best. */
  #chooseTaker(partition: number, position: number): MapDrive {
    const free = this.#freeDrives(partition, position)
    const roomy = free.filter(({ id }) => this.#surplus(id) < 0)
    const spare = this.#findSpare(partition, position, roomy)
    if (spare) return spare
    const lacking = roomy.filter(
      ({ id }) => this.#table.loadAt(id, position) < this.#shares.get(id)![position]!,
    )
    if (lacking.length > 0) return best(lacking, (drive) => this.#score(drive, partition))
    if (roomy.length > 0) return best(roomy, ({ id }) => this.#lackAt(id, position))
    return best(free, ({ id }) => -this.#table.load(id) / this.#ideals.get(id)!)
  }

  /** What a drive that is out had is on the first spare by now: if that gets the slot nothing has to move again. */
  #findSpare(
    partition: number,
    position: number,
    roomy: readonly MapDrive[],
  ): MapDrive | undefined {
    const { drives, slots } = this.#layout
    const before = slots[partition]![position]
    if (drives.find(({ id }) => id === before)?.state !== 'out') return undefined
    return slots[partition]!.slice(this.#table.width)
      .map((id) => roomy.find((drive) => drive.id === id))
      .find((drive) => drive !== undefined)
  }

  /** Where there is a choice: drives that serve, of nodes and zones that have not too much of the partition. */
  #freeDrives(partition: number, position: number): readonly MapDrive[] {
    const row = this.#table.rows[partition]!
    const isFree = ({ id }: MapDrive): boolean => !row.includes(id)
    for (const drives of [this.#takers, this.#members]) {
      for (const rule of ['with-copies', 'without-copies'] as const) {
        const isRoomy = this.#domains?.gate(row, position, rule)
        const free = drives.filter((drive) => isFree(drive) && (isRoomy?.(drive.id) ?? true))
        if (free.length > 0) return free
      }
    }
    return this.#members.filter(isFree)
  }

  /** Whether a drive can take over what another has of a partition. */
  #canTakeOver(row: readonly number[], from: MapDrive, to: MapDrive): boolean {
    const position = row.indexOf(from.id)
    if (position < 0 || row.includes(to.id)) return false
    return this.#domains?.allows(row, position, to.id) ?? true
  }

  /** Drives from `giver` to `taker` of which each can give a slot to the next: usually just the two. */
  #findWay(giver: MapDrive, taker: MapDrive): [MapDrive, MapDrive][] | undefined {
    const cameFrom = new Map<MapDrive, MapDrive>()
    const reached = [giver]
    for (const from of reached) {
      if (this.#canPass(from, taker)) return backTo(giver, [[from, taker]], cameFrom)
      for (const to of this.#takers) {
        if (to === giver || cameFrom.has(to) || !this.#canPass(from, to)) continue
        cameFrom.set(to, from)
        reached.push(to)
      }
    }
    return undefined
  }

  #canPass(from: MapDrive, to: MapDrive): boolean {
    for (const partition of this.#table.partitionsOf(from.id))
      if (this.#canTakeOver(this.#table.rows[partition]!, from, to)) return true
    return false
  }

  /** Of the slots that `from` can give, the one of which it has most and `to` least; among those what `to` likes best. */
  #pass(from: MapDrive, to: MapDrive): void {
    let chosen: { partition: number; position: number; excess: number } | undefined
    for (const partition of this.#table.partitionsOf(from.id)) {
      const row = this.#table.rows[partition]!
      if (row.includes(to.id)) continue
      const position = row.indexOf(from.id)
      const excess = this.#lackAt(to.id, position) - this.#lackAt(from.id, position)
      const isBetter =
        !chosen ||
        excess > chosen.excess ||
        (excess === chosen.excess && this.#score(to, partition) > this.#score(to, chosen.partition))
      if (isBetter && this.#canTakeOver(row, from, to)) chosen = { partition, position, excess }
    }
    assert(chosen !== undefined, 'a way consists of slots that can change hands')
    this.#table.give(chosen.partition, chosen.position, to.id)
  }

  #surplus(driveId: number): number {
    return this.#table.load(driveId) - this.#ideals.get(driveId)!
  }

  /** Above 1 a drive has too much, below -1 too little. */
  #strain(driveId: number): number {
    return this.#surplus(driveId) / Math.max(1, this.#ideals.get(driveId)! * TOLERANCE)
  }

  #lackAt(driveId: number, position: number): number {
    return this.#ideals.get(driveId)! / this.#table.width - this.#table.loadAt(driveId, position)
  }

  #score(drive: MapDrive, partition: number): number {
    const known = this.#scores.get(drive.id) ?? []
    this.#scores.set(drive.id, known)
    known[partition] ??= score(drive, partition, this.#layout.seed)
    return known[partition]
  }
}

function backTo(
  giver: MapDrive,
  steps: [MapDrive, MapDrive][],
  cameFrom: ReadonlyMap<MapDrive, MapDrive>,
): [MapDrive, MapDrive][] {
  const [first] = steps[0]!
  if (first === giver) return steps
  const before = cameFrom.get(first)!
  return backTo(giver, [[before, first], ...steps], cameFrom)
}
