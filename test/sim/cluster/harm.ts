// What goes wrong with the drives of a simulated cluster. Any of them may be slow, full, or away for a while: nothing is lost
// by that. One drive at most rots or goes for good: a cluster can do without one at any time, whatever else is down.
import type { Seeded } from '../../support/seeded.ts'
import { NOTHING } from '../machine.ts'
import { pickBy } from '../randoms.ts'
import { flipInWritten } from '../rot.ts'
import type { SimDrive } from '../sim-drive.ts'
import type { SimNode } from './members.ts'
import type { ClusterWorld } from './world.ts'

/** How often what happens beside the others. */
const WEIGHTS = { shards: 4, rows: 3, log: 2, gone: 1, unplugged: 2, error: 2, full: 4, slow: 3 }

/**
 * What a drive lost of the last seconds of its log is no more than a torn end to it: only records below a marker are known
 * to have been there.
 */
const MARKED_MS = 20_000

const ROOM_BYTES = 1024 ** 4

/** With fewer of them nobody may go for good. */
const NODES_OF_METADATA = 3

/** Harms drives, and makes them work again. */
export class Harm {
  readonly counts = { harmed: 0 }
  /** Only reading everything brings all of it to light. */
  isHidden = false
  /** A drive is gone for good. */
  hasLost = false
  readonly #world: ClusterWorld
  readonly #random: Seeded
  readonly #say: (line: string) => void
  /** The drive that may lose what it has. */
  #victim: { node: SimNode; drive: SimDrive } | undefined
  /** Their process may have given up a drive that works again. */
  readonly #hurt = new Set<SimNode>()

  constructor(world: ClusterWorld, random: Seeded, say: (line: string) => void) {
    this.#world = world
    this.#random = random
    this.#say = say
  }

  /** Something happens to a drive. */
  async one(): Promise<void> {
    const random = this.#random
    const kind = pickBy(random, WEIGHTS)
    const isLoss = ['shards', 'rows', 'log', 'gone'].includes(kind)
    const { node, drive } = isLoss ? this.#loser() : this.#any()
    if (drive.isGone) return
    this.counts.harmed += 1
    this.#say(`harm: ${kind} ${node.name}${drive.path}`)
    switch (kind) {
      case 'shards':
        this.isHidden = true
        return flipInWritten(drive, { kind: '/seg/', most: random.pick([1, 5, 100]), random })
      case 'rows':
        this.isHidden = true
        return this.#rotRows(drive)
      case 'log': {
        this.isHidden = true
        const untilMs = this.#world.time.nowMs - MARKED_MS
        const most = random.pick([1, 5, 100])
        return flipInWritten(drive, { kind: '/metalog/', most, random, untilMs })
      }
      case 'gone':
        // Metadata that two nodes have is not led by one: where others are being emptied nothing else may go.
        if (nodesThatStay(this.#world) < NODES_OF_METADATA) return
        this.hasLost = true
        return await drive.vanish()
      case 'unplugged':
        drive.crash(NOTHING.survives)
        drive.isUnplugged = true
        return this.#endLater(node, drive)
      case 'error':
        this.#hurt.add(node)
        drive.failsNext = true
        return
      case 'full':
        drive.disk.capacityBytes = drive.disk.usedBytes() + random.below(200_000)
        return this.#endLater(node, drive)
      case 'slow':
        drive.slowness = random.pick([5, 50, 300])
        return this.#endLater(node, drive)
    }
  }

  /** All drives that are there work again. Gives the nodes that have to be started again to see it. */
  mend(): ReadonlySet<SimNode> {
    for (const { drives } of this.#world.nodes) for (const drive of drives) heal(drive)
    return this.#hurt
  }

  /** Whether the drive there may lack anything. */
  mayLack(path: string): boolean {
    return path === this.#victim?.drive.path
  }

  /** Any row of any LevelDB: of shards, or of metadata. */
  #rotRows(drive: SimDrive): void {
    const random = this.#random
    for (const files of drive.levels.values())
      files.rot(random.below(1000), (value) => {
        if (value.length > 0) value[random.below(value.length)]! ^= 1 << random.below(8)
      })
  }

  #endLater(node: SimNode, drive: SimDrive): void {
    this.#hurt.add(node)
    this.#world.time.after(this.#random.below(20_000), () => heal(drive))
  }

  #loser(): { node: SimNode; drive: SimDrive } {
    this.#victim ??= this.#any()
    return this.#victim
  }

  #any(): { node: SimNode; drive: SimDrive } {
    const node = this.#random.pick(this.#world.nodes)
    return { node, drive: this.#random.pick(node.drives) }
  }
}

function nodesThatStay({ gateways }: ClusterWorld): number {
  const drives = gateways.find(({ served }) => served)?.coordinator?.state.map.drives ?? []
  const stay = drives.filter(({ state, isLeaving }) => state === 'active' && !isLeaving)
  return new Set(stay.map(({ nodeId }) => nodeId)).size
}

function heal(drive: SimDrive): void {
  drive.isUnplugged = false
  drive.failsNext = false
  drive.slowness = 1
  drive.disk.capacityBytes = ROOM_BYTES
}
