// Whether everything in a simulated cluster stays bounded (I8): what waits, what is under way between two machines, and what
// logs keep on drives. Looks from time to time, as long as things break.
import type { SimDrive } from '../sim-drive.ts'
import type { ClusterWorld } from './world.ts'

/** Every timer, message and operation that is under way is an event: so many are far more than any member ever needs. */
const EVENTS_PER_MEMBER = 400

/** Batches between two processes: two of each lane, and a lane for each drive, partition and kind. */
const BATCHES_PER_WAY = 24

/** Files of 16 KiB, of which 64 KiB are kept, and two markers: what is needed no more goes with the next marker. */
const LOG_BYTES = 256 * 1024

const LOOK_MS = 1_000

/** Looks until it is stopped. */
export class Bounds {
  /** The most that there ever was. */
  readonly most = { waits: 0, batches: 0, logBytes: 0 }
  isOver = false
  readonly #world: ClusterWorld
  readonly #complain: (trouble: string) => void

  constructor(world: ClusterWorld, complain: (trouble: string) => void) {
    this.#world = world
    this.#complain = complain
  }

  async run(): Promise<void> {
    while (!this.isOver) {
      this.#look()
      await this.#world.time.sleep(LOOK_MS)
    }
  }

  #look(): void {
    const { time, members, nodes, network } = this.#world
    const drives = nodes.flatMap((node) => node.drives)
    const { most } = this
    most.waits = Math.max(most.waits, Math.ceil(time.waiting / members.length))
    most.batches = Math.max(most.batches, network.mostUnderWay())
    most.logBytes = Math.max(most.logBytes, ...drives.map(logBytesOf))
    if (most.waits > EVENTS_PER_MEMBER) this.#exceeded(`${most.waits} events of each member wait`)
    if (most.batches > BATCHES_PER_WAY) this.#exceeded(`${most.batches} batches on one way`)
    if (most.logBytes > LOG_BYTES) this.#exceeded(`a log has ${most.logBytes} bytes`)
  }

  #exceeded(what: string): void {
    this.isOver = true
    this.#complain(`I8: ${what}`)
  }
}

function logBytesOf({ disk, path }: SimDrive): number {
  const log = `${path}/metalog`
  const files = disk.inodeOf(log) === undefined ? [] : disk.files(log)
  return files.reduce((sum, file) => sum + disk.bytesOf(file).length, 0)
}
