// Who seems to lead a metadata partition: what was heard last, from the coordinator or from a node that was asked.
import type { MetaPartitionId } from '../../metadata/contract.ts'
import type { PrimaryHints, RemotePartitionParts } from './partition-seams.ts'

/** A guess that many requests share. */
export class PrimaryGuess {
  readonly #partition: MetaPartitionId
  readonly #hints: PrimaryHints
  readonly #clock: RemotePartitionParts['world']['clock']
  /** By a node: it has answered, or another node said that it leads. */
  #told: string | undefined
  /** Did not answer when it was asked last. */
  #silent: string | undefined
  #turn = 0
  /** Requests under way to nodes, the oldest first, by how to give them up. */
  readonly #underWay = new Map<() => void, { node: string; begunMs: number }>()
  #isTroubled = false
  readonly #pauses = new Set<AbortController>()

  constructor(
    partition: MetaPartitionId,
    { primaries, world }: Omit<RemotePartitionParts, 'transport'>,
  ) {
    this.#partition = partition
    this.#hints = primaries
    this.#clock = world.clock
  }

  /** The node to ask; undefined while nobody seems to lead. */
  next(): string | undefined {
    if (this.#told !== undefined) return this.#told
    const primary = this.#hints.primaryOf(this.#partition)
    if (primary !== undefined && primary !== this.#silent) return primary
    // While the coordinator is away nobody says who leads instead; those who have replicas may know.
    const replicas = this.#hints.replicasOf?.(this.#partition) ?? []
    const nodes = primary === undefined ? replicas : [...new Set([primary, ...replicas])]
    this.#turn += 1
    return nodes[this.#turn % nodes.length]
  }

  /** Whether the last answer was none, or one is late: nobody else shall wait for this partition. */
  isTroubled(nowMs: number): boolean {
    const [oldest] = this.#underWay.values()
    return this.#isTroubled || (oldest !== undefined && nowMs - oldest.begunMs > LATE_MS)
  }

  /** The node has answered. */
  answered(node: string): void {
    this.#isTroubled = false
    this.tell(node)
  }

  /** The node leads, by its own word or by that of another. */
  tell(node: string): void {
    this.#told = node
    this.#silent = undefined
  }

  /** The node was asked in vain. */
  doubt(node: string, { isSilent }: { isSilent: boolean }): void {
    this.#isTroubled = true
    if (this.#told === node) this.#told = undefined
    if (isSilent) this.#silent = node
  }

  /** The coordinator was heard. Who waits for a node that does not lead any more waits no longer. */
  hear(): void {
    const primary = this.#hints.primaryOf(this.#partition)
    if (primary === undefined) return
    this.#told = undefined
    this.#silent = undefined
    for (const [giveUp, { node }] of [...this.#underWay]) if (node !== primary) giveUp()
    for (const pause of [...this.#pauses]) pause.abort(HEARD)
  }

  /** What `work` gives, or `moved` as soon as another node than the one that is asked is heard to lead. */
  unlessMoved<Result, Moved>(
    node: string,
    work: Promise<Result>,
    moved: Moved,
  ): Promise<Result | Moved> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#underWay.delete(giveUp)
        resolve(moved)
      }
      this.#underWay.set(giveUp, { node, begunMs: this.#clock.monotonicMs() })
      work.then(resolve, reject).finally(() => this.#underWay.delete(giveUp))
    })
  }

  /** Waits so long, or until the coordinator is heard. */
  async pause(ms: number): Promise<void> {
    const pause = new AbortController()
    this.#pauses.add(pause)
    // Aborted: there is somebody else to ask.
    await this.#clock.sleep(ms, pause.signal).catch(() => undefined)
    this.#pauses.delete(pause)
  }
}

// A little more than a disk takes for a sync when it is busy.
const LATE_MS = 300

// Made once: an error would cost its stack.
const HEARD = 'another node leads'
