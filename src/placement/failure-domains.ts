// What may be lost as a whole: nodes, and zones of nodes. Says how many shards of a blob each of them may have, so that the
// loss of one loses nothing. Pure. Embedded there is one machine, and drives fail one by one: no drive has a node.
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import type { ClusterMap, MapDrive } from './cluster-map.ts'

/** Shards of a blob that one node or one zone may have. */
export interface DomainLimits {
  perNode: number
  /** Infinity where there are too few zones for that. */
  perZone: number
  /** Of the first positions, where copies of small objects lie: on as many nodes as there are. */
  perNodeOfCopies: number
}

// Asked for every blob that moves, of a map that stays the same. Drives and codes never change in place.
const known = new WeakMap<readonly MapDrive[], { code: ErasureCode; domains: FailureDomains }>()

/** Nodes and zones of the drives of a map. */
export class FailureDomains {
  readonly limits: DomainLimits
  /** Positions that a small object has. */
  readonly copies: number
  /** By drive id: numbers from 1 on, so that holes have none. */
  readonly #nodes: readonly number[]
  readonly #zones: readonly number[]

  private constructor(drives: readonly MapDrive[], limits: DomainLimits, copies: number) {
    this.limits = limits
    this.copies = copies
    this.#nodes = numberDomains(drives, nodeOf)
    this.#zones = numberDomains(drives, zoneOf)
  }

  /** Undefined where no drive has a node. Limits are those of the drives that stay. */
  static of({ drives, code }: Pick<ClusterMap, 'drives' | 'code'>): FailureDomains | undefined {
    if (!hasNodes(drives)) return undefined
    const last = known.get(drives)
    if (last?.code === code) return last.domains
    const staying = drives.filter(({ isLeaving }) => !isLeaving)
    const domains = new FailureDomains(drives, limitsFor(staying, code), code.parityCount + 1)
    known.set(drives, { code, domains })
    return domains
  }

  /** By node and by zone: which of these drives they have, and how many slots of a partition they may have. */
  groups(drives: readonly MapDrive[], width: number): { ids: number[]; most: number }[] {
    const { perNode, perZone, perNodeOfCopies } = this.limits
    const beyondCopies = Math.max(0, width - this.copies)
    const ofNode = Math.min(perNode, perNodeOfCopies + beyondCopies)
    return [
      ...[...gather(drives, nodeOf).values()].map((ids) => ({ ids, most: ofNode })),
      ...[...gather(drives, zoneOf).values()].map((ids) => ({ ids, most: perZone })),
    ]
  }

  /** How many shards of a blob these drives may have, as far as their nodes and zones let them. */
  roomOn(driveIds: readonly number[]): number {
    const { perNode, perZone } = this.limits
    const nodes = countDomains(driveIds, -1, this.#nodes)
    const zones = new Map<number, number>()
    for (const driveId of driveIds) {
      const node = this.#nodes[driveId]
      const zone = this.#zones[driveId]
      if (node === undefined || zone === undefined || !nodes.has(node)) continue
      zones.set(zone, (zones.get(zone) ?? 0) + Math.min(perNode, nodes.get(node)!))
      nodes.delete(node)
    }
    return [...zones.values()].reduce((sum, room) => sum + Math.min(perZone, room), 0)
  }

  /**
   * Which drives may have a position of a row, as far as the others of their nodes and zones let them. Without copies, small
   * objects may have two on a node although there are more nodes.
   */
  gate(
    row: readonly number[],
    position: number,
    rule: 'with-copies' | 'without-copies' = 'with-copies',
  ): (driveId: number) => boolean {
    const { perNode, perZone, perNodeOfCopies } = this.limits
    const nodes = countDomains(row, position, this.#nodes)
    const zones = countDomains(row, position, this.#zones)
    const isCopy = rule === 'with-copies' && position < this.copies
    const copies = countDomains(isCopy ? row.slice(0, this.copies) : [], position, this.#nodes)
    return (driveId) => {
      const node = this.#nodes[driveId]!
      if ((nodes.get(node) ?? 0) >= perNode) return false
      if ((copies.get(node) ?? 0) >= perNodeOfCopies) return false
      return (zones.get(this.#zones[driveId]!) ?? 0) < perZone
    }
  }

  /** The same of one drive: whoever asks that of every row has no time to count all of them. */
  allows(
    row: readonly number[],
    position: number,
    driveId: number,
    rule: 'with-copies' | 'without-copies' = 'with-copies',
  ): boolean {
    const { perNode, perZone, perNodeOfCopies } = this.limits
    const node = this.#nodes[driveId]
    const zone = this.#zones[driveId]
    let [inNode, inZone, copies] = [0, 0, 0]
    for (let at = 0; at < row.length; at += 1) {
      if (at === position) continue
      const other = row[at]!
      if (this.#zones[other] === zone) inZone += 1
      if (this.#nodes[other] !== node) continue
      inNode += 1
      if (at < this.copies) copies += 1
    }
    if (inNode >= perNode || inZone >= perZone) return false
    return rule === 'without-copies' || position >= this.copies || copies < perNodeOfCopies
  }
}

/** Whether no loss of one node can lose data with this code on these drives. True of drives without nodes. */
export function isSafeLayout(drives: readonly MapDrive[], code: ErasureCode): boolean {
  if (!hasNodes(drives)) return true
  return roomWith(drives, code.parityCount, Number.POSITIVE_INFINITY) >= shardCount(code)
}

/** The code with as many data shards as can be placed so that no loss of one node loses data; undefined: not even one. */
export function fitToNodes(
  code: ErasureCode,
  drives: readonly MapDrive[],
): ErasureCode | undefined {
  const room = roomWith(drives, code.parityCount, Number.POSITIVE_INFINITY)
  const dataCount = Math.min(code.dataCount, room - code.parityCount)
  return dataCount < 1 ? undefined : { ...code, dataCount }
}

/** Whether they are of a cluster. */
export function hasNodes(drives: readonly MapDrive[]): boolean {
  return drives.some(({ nodeId }) => nodeId !== undefined)
}

/** The node of a drive; drives without one are each for themselves. */
export function nodeOf({ id, nodeId }: MapDrive): string {
  return nodeId ?? `drive ${id}`
}

/** The zone of a drive; a node without one is a zone for itself. */
export function zoneOf(drive: MapDrive): string {
  return drive.zone ?? `node ${nodeOf(drive)}`
}

/** Parity where that suffices; else as few as possible: who took such a layout said that he wants it. */
function limitsFor(drives: readonly MapDrive[], code: ErasureCode): DomainLimits {
  const width = shardCount(code)
  const none = Number.POSITIVE_INFINITY
  let perNode = code.parityCount
  while (perNode < width && roomWith(drives, perNode, none) < width) perNode += 1
  const holdsZones = roomWith(drives, perNode, code.parityCount) >= width
  const perZone = holdsZones ? code.parityCount : none
  const copies = code.parityCount + 1
  let perNodeOfCopies = 1
  while (perNodeOfCopies < copies && roomWith(drives, perNodeOfCopies, perZone) < copies)
    perNodeOfCopies += 1
  return { perNode, perZone, perNodeOfCopies }
}

/** Slots that a partition can have. */
function roomWith(drives: readonly MapDrive[], perNode: number, perZone: number): number {
  const zones = new Map<string, number>()
  for (const ids of gather(drives, nodeOf).values()) {
    const zone = zoneOf(drives.find(({ id }) => id === ids[0])!)
    zones.set(zone, (zones.get(zone) ?? 0) + Math.min(perNode, ids.length))
  }
  return [...zones.values()].reduce((sum, room) => sum + Math.min(perZone, room), 0)
}

/** How many other positions of a row each domain has. */
function countDomains(
  row: readonly number[],
  position: number,
  domains: readonly number[],
): Map<number, number> {
  const counts = new Map<number, number>()
  for (let at = 0; at < row.length; at += 1) {
    const domain = at === position ? undefined : domains[row[at]!]
    if (domain !== undefined) counts.set(domain, (counts.get(domain) ?? 0) + 1)
  }
  return counts
}

function numberDomains(
  drives: readonly MapDrive[],
  domainOf: (drive: MapDrive) => string,
): number[] {
  const names = new Map<string, number>()
  const numbers: number[] = []
  for (const drive of drives) {
    const number = names.get(domainOf(drive)) ?? names.size + 1
    names.set(domainOf(drive), number)
    numbers[drive.id] = number
  }
  return numbers
}

function gather(
  drives: readonly MapDrive[],
  domainOf: (drive: MapDrive) => string,
): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const drive of drives) {
    const ids = found.get(domainOf(drive)) ?? []
    ids.push(drive.id)
    found.set(domainOf(drive), ids)
  }
  return found
}
