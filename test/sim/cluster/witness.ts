// Looks over the shoulders of all processes: what two of them must never both be, or have been told.
import type { RunningNode } from '../../../src/cluster/run-node.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import type { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import { EPOCHS_OF_GENERATION } from '../../../src/placement/etcd/state-keys.ts'
import type { SimProcess } from '../machine.ts'

interface Span {
  after: number
  before: number
}

/** Watches epochs of the state (I9) and of partitions (I6). */
export class Witness {
  /** Reigns so far. */
  reigns = 0
  /** Called for a drive that nothing names any more, by the word of a state: once for each time that it was closed. */
  onVacated: (driveId: number) => void = () => {}
  readonly #vacated = new Set<string>()
  readonly #complain: (trouble: string) => void
  readonly #states = new Map<number, string>()
  /** By member and epoch. */
  readonly #told = new Map<string, string>()
  /** etcd lost what it decided after these: that may be decided anew by those who had not heard of it. */
  readonly #rewound: Span[] = []
  /** Who reigned, by partition and epoch. */
  readonly #primaries = new Map<string, SimProcess>()

  constructor(complain: (trouble: string) => void) {
    this.#complain = complain
  }

  /** etcd was restored from a backup as of `epoch`. */
  rewind(epoch: number): void {
    const generation = Math.floor(epoch / EPOCHS_OF_GENERATION)
    this.#rewound.push({ after: epoch, before: (generation + 1) * EPOCHS_OF_GENERATION })
  }

  /** An epoch is given once and to one state, and nobody goes back. */
  watchState(coordinator: EtcdCoordinator, process: SimProcess, member: string): void {
    let last = 0
    const note = (state: ClusterState): void => {
      if (!process.isAlive) return
      if (state.epoch < last) this.#complain(`I9: epoch ${state.epoch} comes after ${last}`)
      last = state.epoch
      this.#lookForVacated(state)
      this.#noteText(state.epoch, member, JSON.stringify(state))
    }
    note(coordinator.state)
    coordinator.watch(note)
  }

  #noteText(epoch: number, member: string, text: string): void {
    const isOfBoth = this.#rewound.some(({ after, before }) => after < epoch && epoch < before)
    const name = `${member} ${epoch}`
    const told = isOfBoth ? this.#told.get(name) : this.#states.get(epoch)
    if (told !== undefined && told !== text)
      this.#complain(`I9: epoch ${epoch} was given twice, as ${member} heard`)
    if (!this.#states.has(epoch)) this.#states.set(epoch, text)
    this.#told.set(name, text)
  }

  #lookForVacated({ map }: ClusterState): void {
    for (const { id, isVacated, closedEpoch } of map.drives) {
      const name = `${id} ${closedEpoch}`
      if (!isVacated || this.#vacated.has(name)) continue
      this.#vacated.add(name)
      this.onVacated(id)
    }
  }

  /** One process reigns in an epoch of a partition, and once. */
  watchReigns({ metadata }: RunningNode, name: string, process: SimProcess): void {
    metadata.host.onReign(({ partition, epoch }) => {
      if (!process.isAlive) return
      this.reigns += 1
      const reign = `epoch ${epoch} of partition ${partition}`
      const known = this.#primaries.get(reign)
      this.#primaries.set(reign, process)
      if (known !== undefined && known !== process)
        this.#complain(`I6: ${reign} had a primary before ${name}`)
    })
  }
}
