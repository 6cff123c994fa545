// What people do with the drives of a running store: add, replace, drain, remove. One command at a time. Each may be
// cut off at any step by a crash and given again: until the map names a drive nothing depends on it, and from then on
// every start finds it.
import { isAbsolute, resolve } from 'node:path'
import type {
  AddDrive,
  DrainDrive,
  DriveOutcome,
  ReplaceDrive,
  WeighDrive,
} from '../gateway/admin-api.ts'
import type { ErasureCode } from '../kit/erasure-code.ts'
import { Semaphore } from '../kit/semaphore.ts'
import type { World } from '../kit/world.ts'
import type { MapDrive } from '../placement/cluster-map.ts'
import type { Change, ClusterState, Coordinator } from '../placement/coordinator.ts'
import {
  addDrive,
  drainDrive,
  markActive,
  moveDrive,
  type NewDrive,
  removeDrive,
  replaceDrive,
  reserveDriveId,
  setWeight,
  undrainDrive,
} from '../placement/coordinator-changes.ts'
import {
  type DrainOptions,
  refuseDrain,
  refuseRemove,
  refuseReplace,
  refuseUndrain,
  refuseWeight,
} from '../placement/drive-edits.ts'
import { type DriveMarker, inspectDrive } from '../storage-node/drive-format.ts'
import { endJoining, isJoining } from '../storage-node/joining.ts'
import type { FoundDrive } from '../storage-node/start-plan.ts'
import { Refused, refusalOf } from './drive-refusals.ts'
import {
  alreadyLeaving,
  done,
  draining,
  refuse,
  removed,
  staying,
  weighing,
  withWarning,
} from './drive-sentences.ts'
import { findSharers, weighDrives } from './drive-weight.ts'
import type { LiveDrives } from './live-drives.ts'
import { makeDrive } from './make-drive.ts'

/** What the commands act upon. */
export interface DriveCommandParts {
  world: World
  coordinator: Coordinator
  drives: Pick<LiveDrives, 'list' | 'find' | 'join' | 'leave'>
  /** Of the class REDUCED_REDUNDANCY, where the command line names one: it has to fit on the drives that stay. */
  reducedCode?: ErasureCode | undefined
  /** Why what has to move once the map is `after` does not fit on the drives that stay; undefined where it may. */
  refuseForRoom(driveId: number, after: ClusterState['map']): Promise<string | undefined>
  /** Why a drive that took the place of another one is too small for what it is to get; undefined where it is not. */
  warnOfRoom?(driveId: number): Promise<string | undefined>
  /** Why a drive of the map is not taken back at a path: of the node of a cluster, where another one serves it. */
  refuseCopy?(drive: { id: number; path: string }): Promise<string | undefined>
  /** Where its drives are at home, of the node of a cluster. */
  home?: { nodeId: string; zone?: string | undefined }
  /** Keeps on a new drive what every drive keeps. */
  welcome(drive: { id: number; path: string }): Promise<void>
}

/** What a directory is to the store that it is to become a drive of. */
type Candidate =
  | { kind: 'new' }
  /** Made a drive before, and never named by the map. */
  | { kind: 'begun'; marker: DriveMarker }
  | { kind: 'known'; marker: DriveMarker; drive: MapDrive }

/** The commands of one store. */
export class DriveCommands {
  readonly #parts: DriveCommandParts
  readonly #turn = new Semaphore(1, { maxWaiting: 16 })

  constructor(parts: DriveCommandParts) {
    this.#parts = parts
  }

  /** A new drive, or one of the store that was away: it is taken back as it is, and checked. */
  add({ path, weight }: AddDrive): Promise<DriveOutcome> {
    return this.#inTurn(path, async () => {
      const candidate = await this.#look(path)
      if (candidate.kind === 'known') return await this.#takeBack({ ...candidate, path })
      const drive = await this.#takeIn(path, candidate, weight)
      await this.#enter(drive, addDrive(drive))
      return await this.#added(
        drive,
        `${path} is drive ${drive.id} now: it gets its share of the data.`,
      )
    })
  }

  /** A new drive that takes the place of another one, which is emptied, or mended from the others where it is gone. */
  replace({ driveId, path, weight }: ReplaceDrive): Promise<DriveOutcome> {
    return this.#inTurn(path, async () => {
      const { cluster } = this.#parts.coordinator.state
      const { allowsUnsafeLayout } = cluster ?? {}
      refuse(refuseReplace(this.#map, driveId, { home: this.#home, allowsUnsafeLayout }))
      const candidate = await this.#look(path)
      if (candidate.kind === 'known') {
        const { id } = candidate.drive
        throw new Refused(`${path} is drive ${id} of this store: give an empty directory.`)
      }
      const drive = await this.#takeIn(path, candidate, weight)
      await this.#enter(drive, replaceDrive(driveId, drive))
      const sentence =
        `${path} is drive ${drive.id} now and takes the place of drive ${driveId}. Once nothing is left of that: ` +
        `kintsugi drive remove ${driveId}.`
      const outcome = await this.#added(drive, sentence)
      return withWarning(outcome, await this.#parts.warnOfRoom?.(drive.id))
    })
  }

  /** A drive is to be emptied, or not any more. */
  drain({ driveId, isCancelled, reEncode }: DrainDrive): Promise<DriveOutcome> {
    return this.#inTurn(`drive ${driveId}`, async () => {
      if (isCancelled) return await this.#undrain(driveId)
      const already = alreadyLeaving(driveId, this.#find(driveId))
      if (already !== undefined) return already
      return await this.#drain(driveId, { reEncode, reducedCode: this.#parts.reducedCode })
    })
  }

  /** A drive gets another share of the data. */
  weigh({ driveId, weight }: WeighDrive): Promise<DriveOutcome> {
    return this.#inTurn(`drive ${driveId}`, async () => {
      const { slots: before } = this.#map
      refuse(refuseWeight(this.#map, driveId))
      await this.#decide(setWeight(driveId, weight), () => this.#find(driveId)?.weight === weight)
      return weighing({ id: driveId, weight }, { before, after: this.#map.slots })
    })
  }

  /** A drive that nothing names any more leaves the store for ever. */
  remove(driveId: number): Promise<DriveOutcome> {
    return this.#inTurn(`drive ${driveId}`, async () => {
      const { map, orphanHold } = this.#parts.coordinator.state
      const { reducedCode } = this.#parts
      refuse(refuseRemove(map, driveId, orphanHold, { reducedCode }))
      const drive = this.#find(driveId)
      await this.#decide(removeDrive(driveId), () => this.#find(driveId) === undefined)
      await this.#parts.drives.leave(driveId)
      return removed(driveId, { what: 'store', where: drive?.path })
    })
  }

  get #map(): ClusterState['map'] {
    return this.#parts.coordinator.state.map
  }

  get #home(): Pick<MapDrive, 'nodeId' | 'zone'> {
    const { nodeId, zone } = this.#parts.home ?? {}
    return { ...(nodeId === undefined ? {} : { nodeId }), ...(zone === undefined ? {} : { zone }) }
  }

  #find(driveId: number): MapDrive | undefined {
    return this.#map.drives.find(({ id }) => id === driveId)
  }

  async #inTurn(subject: string, work: () => Promise<DriveOutcome>): Promise<DriveOutcome> {
    await this.#turn.acquire()
    try {
      return await work()
    } catch (error) {
      const sentence = refusalOf(error, subject)
      if (sentence === undefined) throw error
      return { kind: 'refused', sentence }
    } finally {
      this.#turn.release()
    }
  }

  async #look(path: string): Promise<Candidate> {
    if (!isAbsolute(path) || resolve(path) !== path)
      throw new Refused(
        `${path} is not an absolute path: the directory is one of the machine that the store runs on.`,
      )
    this.#refuseInside(path)
    const found = await inspectDrive(this.#parts.world, path)
    switch (found.kind) {
      case 'missing':
      case 'empty':
        return { kind: 'new' }
      case 'formatted':
        return await this.#recognise(path, found.marker)
      case 'foreign':
        throw new Refused(
          `${path} is not empty, and no drive: ${found.what}. Give an empty directory.`,
        )
      case 'wrong-format':
        throw new Refused(`${path} was written in format ${found.format}, which is not read here.`)
      case 'broken':
        throw new Refused(
          `${path} can not be recognised: ${found.what}. Empty it, if nobody needs what is in it.`,
        )
    }
  }

  /** A drive in a directory of another one would be taken for something foreign there, or lost with it. */
  #refuseInside(path: string): void {
    const around = this.#parts.drives.list().find((drive) => path.startsWith(`${drive.path}/`))
    if (around !== undefined && around.failure === undefined)
      throw new Refused(`${path} lies inside of drive ${around.id}: give a directory beside it.`)
  }

  async #recognise(path: string, marker: DriveMarker): Promise<Candidate> {
    const { driveId, uuid, clusterId } = marker
    if (clusterId !== this.#parts.coordinator.state.clusterId)
      throw new Refused(
        `${path} is a drive of another store: empty it first, if nobody needs what is on it.`,
      )
    const drive = this.#find(driveId)
    const live = this.#parts.drives.find(driveId)
    if (drive === undefined) {
      if (await isJoining(path, this.#parts.world)) return { kind: 'begun', marker }
      throw new Refused(
        `${path} was drive ${driveId}, which was removed and never comes back: empty it, and it can be added as a new drive.`,
      )
    }
    if (drive.uuid !== uuid)
      throw new Refused(
        `${path} calls itself drive ${driveId}, but is another one: empty it first.`,
      )
    if (live === undefined || live.failure !== undefined) return { kind: 'known', marker, drive }
    if (drive.state === 'out')
      throw new Refused(
        `drive ${driveId} is put aside (${drive.reason ?? 'it is out'}) and taken back by itself once it is well.`,
      )
    throw new Refused(
      live.path === path
        ? `${path} is drive ${driveId} of this store, and in use.`
        : `${path} is a copy of drive ${driveId}, which is in use at ${live.path}: empty it first.`,
    )
  }

  /** Makes it a drive and opens it. The map does not name it yet, and where it can not be asked to it is closed again. */
  async #takeIn(path: string, candidate: Candidate, weight: number | undefined): Promise<NewDrive> {
    const marker = candidate.kind === 'new' ? await this.#make(path) : candidate.marker
    const { driveId: id, uuid } = marker
    await this.#parts.drives.join({ path, marker })
    try {
      await this.#parts.welcome({ id, path })
      return { id, uuid, weight: weight ?? (await this.#weigh(path)), path, ...this.#home }
    } catch (error) {
      await this.#parts.drives.leave(id)
      throw error
    }
  }

  async #make(path: string): Promise<DriveMarker> {
    const { coordinator, world } = this.#parts
    const { clusterId, nextDriveId } = await coordinator.decide(reserveDriveId())
    return await makeDrive(path, { clusterId, driveId: nextDriveId - 1, isJoining: true }, world)
  }

  /** By the size of its file system; beside drives that share that one, as they. */
  async #weigh(path: string): Promise<number> {
    const { world, drives } = this.#parts
    const others = drives.list().filter((drive) => drive.path !== path && !drive.failure)
    const sharers = await findSharers(path, others, world)
    const weights = sharers.flatMap(({ id }) => this.#find(id)?.weight ?? [])
    if (weights.length > 0) return Math.min(...weights)
    const [weight] = await weighDrives([path], world)
    return weight!
  }

  /** The map names it: from now on it is written to. Where that can not be it is closed again. */
  async #enter({ id, path }: NewDrive, change: Change): Promise<void> {
    try {
      await this.#decide(change, () => this.#find(id) !== undefined)
    } catch (error) {
      // Perhaps it was decided nevertheless, and only not answered.
      if (this.#find(id) === undefined) await this.#parts.drives.leave(id)
      throw error
    }
    await endJoining(path, this.#parts.world)
  }

  async #added({ id, path }: NewDrive, sentence: string): Promise<DriveOutcome> {
    const { world, drives } = this.#parts
    const others = drives.list().filter((drive) => drive.id !== id && drive.failure === undefined)
    const [sharer] = await findSharers(path, others, world)
    const warnings =
      sharer === undefined
        ? []
        : [`${path} lies on the same file system as drive ${sharer.id}: the two are lost together.`]
    return { ...done(id, sentence), warnings }
  }

  async #takeBack({
    path,
    marker,
    drive,
  }: FoundDrive & { drive: MapDrive }): Promise<DriveOutcome> {
    const { id } = drive
    refuse(await this.#parts.refuseCopy?.({ id, path }))
    await this.#parts.drives.join({ path, marker })
    try {
      await this.#decide(back(id, { path, ...this.#home }), () => this.#find(id)?.state !== 'out')
    } catch (error) {
      if (this.#find(id)?.state === 'out') await this.#parts.drives.leave(id)
      throw error
    }
    const fate = drive.isLeaving ? 'is emptied' : 'gets what was written meanwhile'
    return done(id, `drive ${id} is back at ${path}: all on it is checked, and it ${fate}.`)
  }

  async #drain(driveId: number, options: DrainOptions): Promise<DriveOutcome> {
    refuse(refuseDrain(this.#map, driveId, options))
    const { coordinator, refuseForRoom } = this.#parts
    const { code: before } = this.#map
    const change = drainDrive(driveId, options)
    const after = change(coordinator.state)?.map
    if (after !== undefined) refuse(await refuseForRoom(driveId, after))
    await this.#decide(change, () => this.#find(driveId)?.isLeaving === true)
    return draining(driveId, before, this.#map.code)
  }

  async #undrain(driveId: number): Promise<DriveOutcome> {
    refuse(refuseUndrain(this.#map, driveId))
    await this.#decide(undrainDrive(driveId), () => this.#find(driveId)?.isLeaving !== true)
    return staying(driveId)
  }

  async #decide(change: Change, isSo: () => boolean): Promise<void> {
    await this.#parts.coordinator.decide(change)
    if (!isSo()) throw new Refused('the drives of the store changed meanwhile: look and try again.')
  }
}

function back(driveId: number, place: Parameters<typeof moveDrive>[1]): Change {
  return (state) => {
    const active = markActive(driveId)(state)
    const there = { ...state, ...active }
    return moveDrive(driveId, place)(there) ?? active
  }
}
