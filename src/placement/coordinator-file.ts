// The embedded coordinator: one process decides, every live drive remembers.
// A decision holds once it is durable on all of them. Layout: docs/formats/coordinator.md.

import { assert } from '../kit/assert.ts'
import { isFull } from '../kit/drive-unavailable.ts'
import { sleepPatiently } from '../kit/patient-sleep.ts'
import { Turns } from '../kit/turns.ts'
import type { World } from '../kit/world.ts'
import {
  type Change,
  type ClusterState,
  type Coordinator,
  CoordinatorUnavailable,
} from './coordinator.ts'
import { markOut } from './coordinator-changes.ts'
import { isDecisionDraft, writeDecision } from './coordinator-draft.ts'
import { type Decision, encodeDecision, epochOfFileName } from './coordinator-format.ts'
import { heldByThoseWhoLeft, isWorthKeeping } from './coordinator-held.ts'
import { chooseState, coordinatorPath, type History, readHistory } from './coordinator-history.ts'
import { lookAtDecisions } from './coordinator-scrub.ts'

/** What the coordinator needs of a drive. run() throws once the drive failed, and DriveUnavailable where it is full. */
export interface CoordinatorDrive {
  readonly id: number
  readonly path: string
  readonly failure: unknown | undefined
  run<T>(operation: () => Promise<T>): Promise<T>
  fail(cause: unknown): void
}

/** Thrown by addDrive() when the drive went on without the others. */
class DriveForked extends Error {
  override readonly name = 'DriveForked'
  readonly code = 'DRIVE_FORKED'
}

const KEPT_FILES = 16
// A drive that takes longer to remember a decision hangs: everyone else waits for it. Drives that share a busy disk
// are slow together for seconds: failing them for that would lose them all at once.
const WRITE_DEADLINE_MS = 30_000

interface Parts {
  world: Pick<World, 'disk' | 'clock'>
  /** The drives that are here and work. Every other drive of the map is marked out by the next decision. */
  drives: readonly CoordinatorDrive[]
  /** Why drives are not here, where that is known. */
  absent?: ReadonlyMap<number, string>
}

/** A Coordinator whose memory is a file on every live drive. */
export class FileCoordinator implements Coordinator {
  readonly #world: Parts['world']
  readonly #drives = new Map<number, CoordinatorDrive>()
  /** Why drives do not remember decisions; those that are not here for no known reason are in neither map. */
  readonly #absent: Map<number, string>
  /** How to stop waiting for a drive that is put aside. */
  readonly #departures = new Map<number, AbortController>()
  /** Writes that nobody waits for any more. */
  readonly #leftBehind = new Map<number, Promise<unknown>>()
  readonly #listeners = new Set<(state: ClusterState) => void>()
  #decision: Decision
  #drafts = 0
  readonly #turns = new Turns()

  private constructor(decision: Decision, parts: Parts) {
    this.#decision = decision
    this.#world = parts.world
    this.#absent = new Map(parts.absent)
    for (const drive of parts.drives) this.#drives.set(drive.id, drive)
  }

  /** Makes `first` the first decision of a new cluster, on drives that hold none. */
  static async create(first: ClusterState, parts: Parts): Promise<FileCoordinator> {
    const { decision, bytes } = encodeDecision({ state: first, ancestors: [], held: {} })
    const coordinator = new FileCoordinator(decision, parts)
    const written = await coordinator.#writeEverywhere(decision, bytes)
    if (written.failed.length > 0) {
      throw new CoordinatorUnavailable('a drive failed while the cluster was made', {
        cause: written.failed[0]?.cause,
      })
    }
    return coordinator
  }

  /** Goes on from what chooseState() chose: makes it durable on all live drives, marks the others out. */
  static async open(chosen: Decision, parts: Parts): Promise<FileCoordinator> {
    const coordinator = new FileCoordinator(chosen, parts)
    await coordinator.#writeEverywhere(chosen, bytesOf(chosen))
    for (const drive of coordinator.#liveDrives()) await coordinator.#removeStrays(drive)
    await coordinator.decide(() => undefined)
    return coordinator
  }

  get state(): ClusterState {
    return this.#decision.state
  }

  /** Changes queue up: each sees the state that the one before left. Rejects with CoordinatorUnavailable. */
  decide(change: Change): Promise<ClusterState> {
    return this.#turns.run(() => this.#decide(change))
  }

  watch(listener: (state: ClusterState) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Takes in a new drive or one that came back: from the next decision on it remembers too. Its place in the map is
   * the caller's to change. Throws DriveForked for a drive with a history of its own.
   */
  async addDrive(drive: CoordinatorDrive): Promise<void> {
    await this.#untilNothingIsLeftBehind(drive)
    await this.#turns.run(async () => {
      const reason = this.#absent.get(drive.id)
      this.#absent.delete(drive.id)
      try {
        await this.#refuseFork(drive)
        await this.#writeTo(drive, this.#decision, bytesOf(this.#decision))
      } catch (error) {
        if (reason !== undefined) this.#absent.set(drive.id, reason)
        throw error
      }
      this.#drives.set(drive.id, drive)
      await this.#removeStrays(drive)
    })
  }

  /** A drive that is no part of the cluster any more, or is none after all: it remembers nothing from now on. */
  async forgetDrive(drive: CoordinatorDrive): Promise<void> {
    await this.#turns.run(async () => {
      if (this.#drives.get(drive.id) === drive) this.#drives.delete(drive.id)
    })
  }

  /** Reads what every live drive remembers, writes again what holds and removes what rotted away. */
  async scrub(): Promise<{ files: number; damaged: number }> {
    const found = { files: 0, damaged: 0 }
    await this.#turns.run(async () => {
      for (const drive of this.#liveDrives()) {
        await this.#scrubDrive(drive, found).catch((error) => {
          // One that was put aside meanwhile is not here any more.
          if (this.#drives.has(drive.id)) throw error
        })
      }
    })
    return found
  }

  /**
   * Decides that a drive is out without waiting for it, not even where a decision waits for it already. It remembers
   * nothing more until addDrive() takes it back.
   */
  async putAside(driveId: number, reason: string): Promise<void> {
    this.#drives.delete(driveId)
    this.#absent.set(driveId, reason)
    this.#departures.get(driveId)?.abort()
    await this.decide(markOut(driveId, reason))
  }

  /** Waits for the decisions under way. */
  async close(): Promise<void> {
    await this.#turns.ended()
    this.#listeners.clear()
  }

  /** All live drives hold the present decision; what the drive remembers must lead up to it. */
  async #refuseFork(drive: CoordinatorDrive): Promise<void> {
    const present: History = { decisions: [this.#decision], corrupt: [] }
    const histories = new Map(this.#liveDrives().map(({ id }) => [id, present]))
    await this.#beforeDeadline(drive, async () => {
      histories.set(drive.id, await readHistory(this.#world, drive.path))
    })
    const choice = chooseState(histories)
    if (choice.kind === 'chosen' && choice.decision.hash === this.#decision.hash) return
    throw new DriveForked(`drive ${drive.id} went on without the others`)
  }

  async #decide(change: Change): Promise<ClusterState> {
    const before = this.#decision
    try {
      await this.#remember(change(before.state) ?? before.state)
    } finally {
      // Where only what had to follow failed, the decision before it holds.
      if (this.#decision !== before) for (const listener of this.#listeners) listener(this.state)
    }
    return this.state
  }

  /** Writes a decision, and those by which drives are out that failed at it. */
  async #remember(wanted: Omit<ClusterState, 'epoch'>): Promise<void> {
    const before = this.#decision
    // Each round but the last loses a drive, so there are no more rounds than drives.
    let next = this.#withoutDead(wanted)
    while (next !== this.#decision.state) {
      const { decision, bytes } = this.#draft(next)
      const asked = this.#liveDrives()
      const { failed, full } = await this.#writeEverywhere(decision, bytes)
      if (full !== undefined) {
        // Others may have it already: it must not come to light at the next start.
        for (const drive of this.#liveDrives()) await this.#removeStrays(drive)
        const live = this.#liveDrives()
        const isUndone = this.#decision === before && asked.every((drive) => live.includes(drive))
        const why = isUndone ? { why: 'full' as const } : {}
        throw new CoordinatorUnavailable('a drive is full', { cause: full, ...why })
      }
      if (this.#liveDrives().length === 0) {
        throw new CoordinatorUnavailable('no drive is left', { cause: failed[0]?.cause })
      }
      this.#decision = decision
      next = this.#withoutDead(decision.state)
    }
  }

  /** Marks every drive out that the map thinks active and that is not here or failed. */
  #withoutDead(state: Omit<ClusterState, 'epoch'>): ClusterState {
    let edited = state as ClusterState
    for (const { id, state: driveState } of state.map.drives) {
      const drive = this.#drives.get(id)
      if (driveState === 'out' || (drive !== undefined && drive.failure === undefined)) continue
      const reason =
        drive === undefined
          ? (this.#absent.get(id) ?? 'it is missing')
          : `it failed: ${sayWhy(drive.failure)}`
      edited = (markOut(id, reason)(edited) ?? edited) as ClusterState
    }
    return edited
  }

  #draft(next: Omit<ClusterState, 'epoch'>): { decision: Decision; bytes: Uint8Array } {
    const { state, hash, ancestors, held } = this.#decision
    const epoch = state.epoch + 1
    const nowHeld = heldByThoseWhoLeft(held, next)
    for (const { id } of next.map.drives) {
      const drive = this.#drives.get(id)
      if (drive === undefined || drive.failure !== undefined) nowHeld[id] = held[id] ?? state.epoch
    }
    const all: Decision['ancestors'] = [...ancestors, [state.epoch, hash]]
    return encodeDecision({
      state: { ...next, epoch },
      predecessor: hash,
      ancestors: all.filter((known) => isWorthKeeping(known[0], epoch, Object.values(nowHeld))),
      held: nowHeld,
    })
  }

  async #writeEverywhere(
    decision: Decision,
    bytes: Uint8Array,
  ): Promise<{ failed: { cause: unknown }[]; full: unknown }> {
    const failed: { cause: unknown }[] = []
    let full: unknown
    const write = async (drive: CoordinatorDrive): Promise<void> => {
      try {
        await this.#writeTo(drive, decision, bytes)
      } catch (error) {
        if (isFull(error)) full = error
        else {
          // One that was put aside is not here any more, but did not fail.
          if (this.#drives.has(drive.id)) drive.fail(error)
          failed.push({ cause: error })
        }
      }
    }
    await Promise.all(this.#liveDrives().map(write))
    return { failed, full }
  }

  async #writeTo(drive: CoordinatorDrive, decision: Decision, bytes: Uint8Array): Promise<void> {
    const { epoch } = decision.state
    const directory = coordinatorPath(drive.path)
    const attempt = (): Promise<void> => {
      this.#drafts += 1
      const file = { directory, epoch, bytes, draft: `draft-${this.#drafts}` }
      return this.#beforeDeadline(drive, (isWanted) => writeDecision(this.#world, file, isWanted))
    }
    try {
      await attempt()
    } catch (error) {
      if (!isFull(error)) throw error
      // The oldest decisions make room for the newest.
      await this.#removeDecisions(drive, (known) => known < epoch - 1)
      await attempt()
    }
    await this.#removeDecisions(drive, (known) => known <= epoch - KEPT_FILES)
  }

  async #scrubDrive(
    drive: CoordinatorDrive,
    found: { files: number; damaged: number },
  ): Promise<void> {
    const { epoch } = this.state
    const bytes = bytesOf(this.#decision)
    const directory = coordinatorPath(drive.path)
    const look = await this.#beforeDeadline(drive, () =>
      lookAtDecisions(this.#world, { directory, epoch, bytes }),
    )
    if (look.lacksLast) await this.#writeTo(drive, this.#decision, bytes)
    // What holds is durable on the drive now: older ones only told how it came about.
    for (const name of look.rotten)
      await this.#beforeDeadline(drive, () => this.#world.disk.remove(`${directory}/${name}`))
    found.files += look.files
    found.damaged += look.rotten.length + (look.lacksLast ? 1 : 0)
  }

  /** Decisions that do not hold after all, and what writers left that nobody waited for. Gone after a power cut too. */
  async #removeStrays(drive: CoordinatorDrive): Promise<void> {
    const directory = coordinatorPath(drive.path)
    try {
      const strays = await this.#removeDecisions(drive, (known) => known > this.state.epoch)
      await this.#removeFiles(drive, isDecisionDraft)
      // A start takes over the highest decision that it finds.
      if (strays > 0)
        await this.#beforeDeadline(drive, () => this.#world.disk.syncDirectory(directory))
    } catch (error) {
      if (this.#drives.has(drive.id)) drive.fail(error)
    }
  }

  #removeDecisions(drive: CoordinatorDrive, isOld: (epoch: number) => boolean): Promise<number> {
    return this.#removeFiles(drive, (name) => {
      const epoch = epochOfFileName(name)
      return epoch !== undefined && isOld(epoch)
    })
  }

  /** Gives how many there were. */
  async #removeFiles(drive: CoordinatorDrive, isOld: (name: string) => boolean): Promise<number> {
    const directory = coordinatorPath(drive.path)
    return await this.#beforeDeadline(drive, async (isWanted) => {
      let removed = 0
      for (const name of await this.#world.disk.list(directory)) {
        if (!isWanted() || !isOld(name)) continue
        await this.#world.disk.remove(`${directory}/${name}`)
        removed += 1
      }
      return removed
    })
  }

  /**
   * A drive that is put aside meanwhile is waited for no more, nor one that takes too long. The work goes on behind
   * everybody's back: it is told that it is not wanted, and nothing else is written to the drive before it has ended.
   */
  async #beforeDeadline<T>(
    drive: CoordinatorDrive,
    work: (isWanted: () => boolean) => Promise<T>,
  ): Promise<T> {
    const gone = this.#absent.get(drive.id)
    if (gone !== undefined) throw new Error(gone)
    const done = new AbortController()
    const departure = new AbortController()
    this.#departures.set(drive.id, departure)
    const late = sleepPatiently(this.#world.clock, WRITE_DEADLINE_MS, done.signal).then(
      () => {
        throw new Error(`it took more than ${WRITE_DEADLINE_MS} ms to remember a decision`)
      },
      () => {}, // Not late after all.
    )
    // run() rejects when the drive fails, whatever the work does.
    let underWay: Promise<T> | undefined
    let isWanted = true
    const working = drive.run(() => {
      underWay = work(() => isWanted)
      return underWay
    })
    try {
      return await Promise.race([
        working,
        late.then(() => new Promise<never>(() => {})),
        whenAborted(departure.signal),
      ])
    } catch (error) {
      isWanted = false
      this.#leaveBehind(
        drive.id,
        working.catch(() => {}).then(() => underWay),
      )
      throw error
    } finally {
      this.#departures.delete(drive.id)
      done.abort()
    }
  }

  #leaveBehind(driveId: number, working: Promise<unknown>): void {
    const ended: Promise<unknown> = Promise.allSettled([
      this.#leftBehind.get(driveId),
      working,
    ]).then(() => {
      if (this.#leftBehind.get(driveId) === ended) this.#leftBehind.delete(driveId)
    })
    this.#leftBehind.set(driveId, ended)
  }

  async #untilNothingIsLeftBehind({ id }: CoordinatorDrive): Promise<void> {
    const leftBehind = this.#leftBehind.get(id)
    if (leftBehind === undefined) return
    const done = new AbortController()
    const late = sleepPatiently(this.#world.clock, WRITE_DEADLINE_MS, done.signal)
    try {
      await Promise.race([leftBehind, late])
    } finally {
      late.catch(() => {}) // Not late after all.
      done.abort()
    }
    if (this.#leftBehind.has(id)) throw new Error('what was written to it before has not ended')
  }

  #liveDrives(): CoordinatorDrive[] {
    return [...this.#drives.values()].filter(({ failure }) => failure === undefined)
  }
}

/** The very bytes that the decision was read from. */
function bytesOf({ hash, ...draft }: Decision): Uint8Array {
  const { decision, bytes } = encodeDecision(draft)
  assert(decision.hash === hash, 'a decision that was read is written again unchanged')
  return bytes
}

/** Rejects when the signal is aborted. */
function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const leave = (): void => reject(new Error('it was put aside'))
    signal.addEventListener('abort', leave, { once: true })
  })
}

function sayWhy(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure)
}
