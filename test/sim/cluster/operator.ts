// The one who runs a simulated cluster: drives and nodes come, are replaced and emptied, and leave for ever, by the commands
// of its root through any gateway, while everything else goes on. What is refused, or not answered, is left as it is.
import type { DriveOutcome } from '../../../src/gateway/admin-api.ts'
import type { ClusterApi, NodeOutcome } from '../../../src/gateway/cluster-api.ts'
import type { ClusterMap, MapDrive } from '../../../src/placement/cluster-map.ts'
import { CoordinatorUnavailable } from '../../../src/placement/coordinator.ts'
import { releaseOrphans } from '../../../src/placement/coordinator-changes.ts'
import type { Seeded } from '../../support/seeded.ts'
import { pickBy } from '../randoms.ts'
import type { SimNode } from './members.ts'
import type { ClusterWorld } from './world.ts'

/** How often what is done beside the others. */
const WEIGHTS = {
  weigh: 2,
  drain: 4,
  undrain: 2,
  add: 3,
  replace: 3,
  'add-node': 2,
  'drain-node': 3,
  'undrain-node': 1,
  'see-out': 2,
}

/** In a cluster that is to get narrower than its code. */
const NARROWING = { ...WEIGHTS, drain: 20, 'drain-node': 20, undrain: 4, 'undrain-node': 3 }

/** Nobody waits longer for a gateway: it may have been killed meanwhile. */
const ANSWER_MS = 5_000

/** A drive more on each of many nodes would show nothing new, and costs. */
const DRIVES_PER_NODE_MAX = 3

/** Whatever is to leave has left by then, once nothing is broken any more. */
const LEFT_WITHIN_MS = 900_000
const LOOK_MS = 5_000

/** Gives commands. */
export class Operator {
  readonly counts = { commands: 0, removed: 0 }
  readonly #world: ClusterWorld
  readonly #random: Seeded
  readonly #say: (line: string) => void

  constructor(world: ClusterWorld, random: Seeded, say: (line: string) => void) {
    this.#world = world
    this.#random = random
    this.#say = say
  }

  /**
   * One command. While etcd is older than what is known nobody joins: who is new would believe it. Where a disk is gone for good
   * nothing else is emptied unless there are nodes enough for metadata without either.
   */
  async command({ isRestored, hasLost }: { isRestored: boolean; hasLost: boolean }): Promise<void> {
    const api = this.#api()
    const map = this.#map()
    if (api === undefined || map === undefined) return
    const random = this.#random
    const { id: driveId } = random.pick(map.drives)
    const node = random.pick(this.#world.nodes)
    const command = pickBy(random, this.#world.shape.narrows ? NARROWING : WEIGHTS)
    const empties = command === 'drain' || command === 'drain-node'
    if (empties && hasLost && this.#world.nodes.length <= 4) return
    this.counts.commands += 1
    this.#say(`command: ${command} ${driveId} ${node.name}`)
    const drain = { isCancelled: false, reEncode: this.#world.shape.narrows }
    switch (command) {
      case 'weigh':
        return await this.#done(api.drives.weigh({ driveId, weight: 1 + random.below(4) }))
      case 'drain':
        return await this.#drain(driveId)
      case 'undrain':
        return await this.#done(api.drives.drain({ ...drain, driveId, isCancelled: true }))
      case 'add':
        return await this.#add(node, (path) => api.drives.add({ nodeId: node.id, path }))
      case 'replace':
        return await this.#replace(driveId)
      case 'add-node': {
        const added = isRestored ? undefined : await this.#world.addNode()
        return this.#say(`${added?.name ?? 'no node'} comes`)
      }
      case 'drain-node':
        return await this.#done(api.nodes.drain({ ...drain, nodeId: node.id, isLost: false }))
      case 'undrain-node': {
        const request = { ...drain, nodeId: node.id, isLost: false, isCancelled: true }
        return await this.#done(api.nodes.drain(request))
      }
      case 'see-out':
        return await this.#seeOut()
    }
  }

  /** Drives that are gone for good are replaced by empty disks, or given up. */
  async giveUpGone(): Promise<void> {
    for (const node of this.#world.nodes) {
      // It does not start without a drive.
      if (node.drives.every(({ isGone }) => isGone)) await node.buildIn()
      if (node.served === undefined) continue
      for (const { id, isLeaving } of this.#goneOf(node)) {
        if (isLeaving) continue
        if (this.#random.below(2) === 0) await this.#replace(id)
        else await this.#drain(id)
      }
    }
  }

  /** Since a restore of etcd they are held, and nothing is missed. Again, where the gateway did not hear of the hold yet. */
  async releaseOrphans(): Promise<void> {
    const held = this.#world.gateways.filter(({ served }) => served !== undefined)
    try {
      await held[0]?.coordinator?.decide(releaseOrphans())
    } catch (error) {
      if (!(error instanceof CoordinatorUnavailable)) throw error
      this.#say(`orphans are not released yet: ${error.message}`)
    }
  }

  /** Everything that is to leave leaves; complains of what stays. */
  async seeAllOut(complain: (trouble: string) => void): Promise<void> {
    const { time } = this.#world
    const untilMs = time.nowMs + LEFT_WITHIN_MS
    for (;;) {
      await this.releaseOrphans()
      await this.giveUpGone()
      await this.#seeOut()
      const left = this.#map()?.drives.filter(
        ({ state, isLeaving }) => isLeaving || state === 'out',
      )
      const gone = this.#world.nodes.flatMap((node) => this.#goneOf(node))
      if (left?.length === 0 && gone.length === 0) return
      if (time.nowMs > untilMs)
        return complain(`I7: what is to leave stays: ${JSON.stringify(left)}`)
      await time.sleep(LOOK_MS)
    }
  }

  /** What is vacated is removed; nodes of which every drive is, with all of them. */
  async #seeOut(): Promise<void> {
    const api = this.#api()
    const drives = this.#map()?.drives ?? []
    const isLeft = ({ isLeaving, isVacated }: MapDrive): boolean => !!isLeaving && !!isVacated
    for (const node of [...this.#world.nodes]) {
      const own = drives.filter(({ nodeId }) => nodeId === node.id)
      if (own.length === 0 || !own.every(isLeft) || this.#world.nodes.length < 3) continue
      if (await this.#isDone(api?.nodes.remove(node.id))) await this.#world.retire(node)
    }
    for (const { id } of drives.filter(isLeft)) await this.#done(api?.drives.remove(id))
  }

  async #drain(driveId: number): Promise<void> {
    const request = { driveId, isCancelled: false, reEncode: this.#world.shape.narrows }
    await this.#done(this.#api()?.drives.drain(request))
  }

  /** Drives that the map has in this node, whose disks are gone for good. */
  #goneOf({ id, drives }: SimNode): MapDrive[] {
    const gone = drives.flatMap(({ path, isGone }) => (isGone ? path : []))
    const known = this.#map()?.drives ?? []
    return known.filter(({ nodeId, path = '' }) => nodeId === id && gone.includes(path))
  }

  /** By a new disk of the same node, or of another one. */
  async #replace(driveId: number): Promise<void> {
    const { nodes } = this.#world
    const home = this.#map()?.drives.find(({ id }) => id === driveId)?.nodeId
    const own = nodes.find(({ id }) => id === home)
    const node = own === undefined || this.#random.below(4) === 0 ? this.#random.pick(nodes) : own
    const replace = (path: string): Promise<DriveOutcome> | undefined =>
      this.#api()?.drives.replace({ driveId, nodeId: node.id, path })
    await this.#add(node, replace)
  }

  async #add(
    node: SimNode,
    add: (path: string) => Promise<DriveOutcome> | undefined,
  ): Promise<void> {
    const unused = node.drives.find((drive) => !drive.isGone && !this.#isKnown(drive.path, node))
    const living = node.drives.filter(({ isGone }) => !isGone)
    if (unused === undefined && living.length >= DRIVES_PER_NODE_MAX) return
    const { path } = unused ?? (await node.buildIn())
    await this.#done(add(path))
  }

  #isKnown(path: string, { id }: SimNode): boolean {
    return (this.#map()?.drives ?? []).some((drive) => drive.nodeId === id && drive.path === path)
  }

  async #done(outcome: Promise<DriveOutcome | NodeOutcome> | undefined): Promise<void> {
    await this.#isDone(outcome)
  }

  async #isDone(outcome: Promise<DriveOutcome | NodeOutcome> | undefined): Promise<boolean> {
    const told = outcome?.catch((error: unknown) => ({ kind: 'failed', sentence: String(error) }))
    const late = this.#world.time.sleep(ANSWER_MS)
    const found = (await Promise.race([told, late])) ?? { kind: 'late', sentence: '' }
    this.#say(`${found.kind}: ${found.sentence}`)
    if (found.kind === 'done') this.counts.removed += found.sentence.includes('no part of') ? 1 : 0
    return found.kind === 'done'
  }

  #api(): ClusterApi | undefined {
    const up = this.#world.gateways.flatMap(({ served }) => served?.api ?? [])
    return up.length === 0 ? undefined : this.#random.pick(up)
  }

  #map(): ClusterMap | undefined {
    return this.#world.gateways.find(({ served }) => served !== undefined)?.coordinator?.state.map
  }
}
