// Looks over the shoulders of all processes: what two of them must never both be, or have been told.
import type { RunningNode } from '../../../src/cluster/run-node.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import type { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import type { SimProcess } from '../machine.ts'

/** Watches epochs of the state (I9) and of partitions (I6). */
export class Witness {
  /** Reigns so far. */
  reigns = 0
  /** Called for a drive that nothing names any more, by the word of a state: once for each time that it was closed. */
  onVacated: (driveId: number) => void = () => {}
  readonly #vacated = new Set<string>()
  readonly #complain: (trouble: string) => void
  readonly #states = new Map<number, string>()
  /** Who reigned, by partition and epoch. */
  readonly #primaries = new Map<string, SimProcess>()

  constructor(complain: (trouble: string) => void) {
    this.#complain = complain
  }

  /** An epoch is given once and to one state, and nobody goes back. */
  watchState(coordinator: EtcdCoordinator, process: SimProcess): void {
    let last = 0
    const note = (state: ClusterState): void => {
      if (!process.isAlive) return
      if (state.epoch < last) this.#complain(`I9: epoch ${state.epoch} comes after ${last}`)
      last = state.epoch
      this.#lookForVacated(state)
      const text = JSON.stringify(state)
      const known = this.#states.get(state.epoch)
      if (known === undefined) this.#states.set(state.epoch, text)
      else if (known !== text) this.#complain(`I9: epoch ${state.epoch} was given twice`)
    }
    note(coordinator.state)
    coordinator.watch(note)
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
