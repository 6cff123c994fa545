// Brings partitions that lack replicas back to their number, and replicas away from drives that are to be emptied:
// copies rows in slices while the partition goes on, then lets the coordinator count the new replica.
import { beforeDeadline } from '../../kit/before-deadline.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import {
  type Change,
  type Coordinator,
  CoordinatorUnavailable,
  type Replica,
} from '../../placement/coordinator.ts'
import { addReplica, releaseReplicas, withoutReplica } from '../../placement/coordinator-changes.ts'
import {
  chooseReplacement,
  leavingReplicas,
  newIncarnation,
} from '../../placement/coordinator-replicas.ts'
import type { Doubts } from './believe.ts'
import { CheckedCursor } from './cursor.ts'
import type { HostDrive } from './drive.ts'
import type { Member } from './member.ts'
import type { HostedPartition } from './partition.ts'

/** What replicas are made with. `doubts` hears of rows that can not be copied, `avoid` of drives that could not take any. */
export interface MendParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  coordinator: Coordinator
  hosts: ReadonlyMap<number, HostDrive>
  partitions: ReadonlyMap<number, HostedPartition>
  doubts: Doubts
  /** A drive that is not to be used now. */
  isAvoided(driveId: number): boolean
  avoid(driveId: number): void
  /** Makes a decision, however long it takes. False when there is nothing left to decide about. */
  decide(change: Change): Promise<boolean>
}

/** Rows that are copied while nothing else of the partition is applied: a few milliseconds. */
const SLICE_ROWS = 256
const SLICE_DEADLINE_MS = 5_000
// Old rows go on being removed behind it: the next try finds fewer of them.
const CLEAR_DEADLINE_MS = 60_000

/** Makes replicas, one at a time. */
export class ReplicaMender {
  readonly #parts: MendParts
  readonly #replicaCount: number
  #isRunning = false
  #again = false
  #stopping = false
  #running: Promise<void> = Promise.resolve()

  constructor(replicaCount: number, parts: MendParts) {
    this.#replicaCount = replicaCount
    this.#parts = parts
  }

  /** Looks at all partitions soon. Resolves when every replica that can be made now is made; never rejects. */
  request(): Promise<void> {
    this.#again = true
    if (!this.#isRunning && !this.#stopping) {
      this.#isRunning = true
      this.#running = this.#run()
    }
    return this.#running
  }

  /** Gives up what is being copied. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopping) {
      this.#again = false
      for (const partition of this.#parts.partitions.values()) await this.#mendOrTell(partition)
    }
    this.#isRunning = false
  }

  /** What can not be decided now, on full drives for instance, is asked for again by who watches. */
  async #mendOrTell(partition: HostedPartition): Promise<void> {
    try {
      await this.#mend(partition)
    } catch (error) {
      const where = { partition: partition.id, error }
      this.#parts.log.warn(where, 'the replicas of a metadata partition stay as they are for now')
    }
  }

  async #mend(partition: HostedPartition): Promise<void> {
    const { coordinator } = this.#parts
    // Each round makes a replica or avoids a drive, so there are no more rounds than drives.
    for (let round = 0; round < this.#parts.hosts.size; round += 1) {
      if (this.#stopping || partition.stopped !== undefined) return
      const { map, metaPartitions } = coordinator.state
      const state = metaPartitions[partition.id]!
      const leaving = leavingReplicas(map, state)
      if (state.inSync.length - leaving.length >= this.#replicaCount) {
        if (leaving.length > 0) await this.#release(partition)
        return
      }
      const usable = (driveId: number): boolean => this.#isUsable(driveId, partition.id)
      const driveId = chooseReplacement(map, metaPartitions, partition.id, usable)
      if (driveId === undefined) return
      await this.#copyOrAvoid(partition, driveId)
    }
  }

  /** There are enough on other drives: those on drives that are to be emptied go. */
  async #release(partition: HostedPartition): Promise<void> {
    const { coordinator, log } = this.#parts
    await coordinator.decide(releaseReplicas(partition.id, this.#replicaCount))
    log.info(
      { partition: partition.id },
      'a replica of metadata left a drive that is to be emptied',
    )
  }

  #isUsable(driveId: number, partitionId: number): boolean {
    const host = this.#parts.hosts.get(driveId)
    if (host === undefined || host.drive.failure !== undefined) return false
    return !host.isBusyWith(partitionId) && !this.#parts.isAvoided(driveId)
  }

  async #copyOrAvoid(partition: HostedPartition, driveId: number): Promise<void> {
    const { log, random } = { ...this.#parts, random: this.#parts.world.random }
    const where = { partition: partition.id, drive: driveId }
    try {
      await this.#copy(partition, { driveId, incarnation: newIncarnation(random) })
      log.info(where, 'a replica of a metadata partition was made')
    } catch (error) {
      if (this.#stopping) return
      this.#parts.avoid(driveId)
      log.warn({ ...where, error }, 'a replica of a metadata partition could not be made')
    }
  }

  async #copy(partition: HostedPartition, replica: Replica): Promise<void> {
    const host = this.#parts.hosts.get(replica.driveId)!
    const member = await this.#addLearner(partition, replica)
    try {
      await whileItStays(member, this.#copyRows(partition, member))
      await whileItStays(member, host.rows.flush())
      if (!(await partition.requireLearner(member))) throw new Error('the new replica fell behind')
      // From this marker on the rows are known to be whole up to where the copy began, and the log has the rest.
      await whileItStays(member, host.checkpoint({ force: true }))
      await this.#join(partition, member, replica)
    } finally {
      // One that did not get so far that it may count.
      partition.removeLearner(member)
    }
  }

  /** From the question on the coordinator may count it: it stays until it is known that it does not. */
  async #join(partition: HostedPartition, member: Member, replica: Replica): Promise<void> {
    if (!partition.beginJoining(member)) throw new Error('the new replica failed')
    let refusal: unknown = new Error('its drive left meanwhile')
    let isSure = true
    try {
      await this.#parts.coordinator.decide(addReplica(partition.id, replica))
    } catch (error) {
      refusal = error
      isSure = wasUndone(error) || (await this.#parts.decide(withoutReplica(partition.id, replica)))
    }
    const { inSync } = this.#parts.coordinator.state.metaPartitions[partition.id]!
    if (inSync.some(({ incarnation }) => incarnation === replica.incarnation)) return
    if (isSure) partition.endJoining(member)
    throw refusal
  }

  /** Nobody else touches rows of the partition there, from the first look until the learner is there. */
  async #addLearner(partition: HostedPartition, replica: Replica): Promise<Member> {
    const host = this.#parts.hosts.get(replica.driveId)!
    const letGo = host.hold(partition.id)
    try {
      await this.#inTime(host.clear(partition.id), CLEAR_DEADLINE_MS)
      return await partition.exclusive(async () => partition.addLearner(replica, host))
    } finally {
      letGo()
    }
  }

  async #copyRows(partition: HostedPartition, member: Member): Promise<void> {
    const everything = { from: new Uint8Array() }
    const cursor = new CheckedCursor(partition, everything, this.#parts.doubts)
    for (;;) {
      const copied = await partition.exclusive(async () => {
        const rows = await cursor.nextSettled(SLICE_ROWS)
        // Another may be copied there by now.
        if (member.departure.hasLeft) throw new Error('the new replica failed')
        if (rows.length > 0)
          await this.#inTime(member.host.copyIn(partition.id, rows), SLICE_DEADLINE_MS)
        return rows.length
      })
      if (this.#stopping) throw new Error('stopping')
      if (member.departure.hasLeft) throw new Error('the new replica failed')
      if (copied < SLICE_ROWS) return
    }
  }

  /** A drive that hangs must not keep a partition that stands still while a slice is copied, nor the partitions after it. */
  async #inTime(work: Promise<void>, deadlineMs: number): Promise<void> {
    if (!(await beforeDeadline(work, deadlineMs, this.#parts.world)))
      throw new Error('rows of a drive took too long')
    await work
  }
}

/** One that left is waited for no more: its drive may hang, and others are to be copied. */
async function whileItStays({ departure }: Member, work: Promise<void>): Promise<void> {
  await departure.until(work)
  if (departure.hasLeft) throw new Error('the new replica left')
}

/** Otherwise a drive may have the decision, and the next start takes it over. */
function wasUndone(error: unknown): boolean {
  return error instanceof CoordinatorUnavailable && error.why === 'full'
}
