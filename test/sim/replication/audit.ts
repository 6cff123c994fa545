// What must hold whatever happens: one log, one content for one position, one primary for one epoch.
import type { LogEntry } from '../../../src/metadata/log/entry.ts'
import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import type { ClusterWorld } from './world.ts'

/** Watches all replicas at once. */
export class Audit {
  readonly #world: ClusterWorld
  /** What was applied at a sequence, by whoever was first. */
  readonly #applied: LogEntry[] = []
  readonly #written = new Map<string, string>()
  readonly #reigns = new Map<number, string>()

  constructor(world: ClusterWorld) {
    this.#world = world
  }

  /** The sequence of the last entry that anybody applied. */
  get lastApplied(): number {
    return this.#applied.length
  }

  /** An entry has its place and content for ever. */
  wrote(id: ReplicaId, entry: LogEntry): void {
    const name = `${entry.epoch}/${entry.sequence}`
    const content = `${entry.prevEpoch} ${Buffer.from(entry.batch).toString('latin1')}`
    const known = this.#written.get(name)
    if (known === undefined) this.#written.set(name, content)
    else if (known !== content) this.#world.fail(`${id}: ${name} was written twice`)
  }

  /** All replicas apply the same. */
  applied(id: ReplicaId, entry: LogEntry): void {
    const known = this.#applied[entry.sequence - 1]
    if (known === undefined) {
      if (entry.sequence !== this.#applied.length + 1) {
        this.#world.fail(`${id}: applied ${entry.sequence} over a gap`)
      }
      this.#applied[entry.sequence - 1] = entry
    } else if (known.epoch !== entry.epoch) {
      const { epoch, sequence } = entry
      this.#world.fail(`${id}: applied ${epoch}/${sequence}, others ${known.epoch}/${sequence}`)
    }
  }

  /** Only one process is ever primary in an epoch. */
  serves(life: string, epoch: number): void {
    const known = this.#reigns.get(epoch)
    if (known === undefined) this.#reigns.set(epoch, life)
    else if (known !== life) this.#world.fail(`epoch ${epoch}: ${known} and ${life} are primary`)
  }
}
