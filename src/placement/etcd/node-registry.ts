// Nodes as they name themselves in etcd: where they are, which lasts, and a hint that they are there, which goes with a
// lease. Leases can vanish for everybody at once (etcd#15247): nothing is ever decided because a hint is gone.
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import { endOfPrefix } from './etcd-wire.ts'
import type { EtcdMirror } from './mirror.ts'
import { fromJson, toJson } from './state-keys.ts'

/** A node, as it registered last. */
export interface NodeRegistration {
  /** Never given to another. */
  id: string
  /** Where other nodes reach it: `http://10.0.0.7:9100`. */
  address: string
  zone?: string
  /** The highest version of the node protocol that it speaks. */
  protocol: number
  /** Another one with every start. */
  bootId: string
}

/** Keys behind the prefix. */
export const NODE_KEYS = 'node/'
const HINTS = 'alive/'

/** Hints stay so long after the last sign. */
export const HINT_TTL_SECONDS = 10
const SIGN_MS = 3_000

/** A node registers once with every start: whoever is outrun more often than that is outrun for ever. */
const FORGET_TRIES = 5

/** The nodes of a cluster. */
export class NodeRegistry {
  readonly #mirror: EtcdMirror
  readonly #parts: { world: Pick<World, 'clock'>; log: Log }

  constructor(mirror: EtcdMirror, parts: { world: Pick<World, 'clock'>; log: Log }) {
    this.#mirror = mirror
    this.#parts = parts
  }

  /** All that ever registered, as last read, by id. */
  list(): NodeRegistration[] {
    return [...this.#mirror.image.keys]
      .filter(([key]) => key.startsWith(NODE_KEYS))
      .map(([, { value }]) => fromJson(value) as NodeRegistration)
      .sort((left, right) => (left.id < right.id ? -1 : 1))
  }

  /** Ids of the nodes whose leases live: for people and balancers, never a reason for a decision. Rejects when etcd is away. */
  async hints(): Promise<Set<string>> {
    const prefix = `${this.#mirror.prefix}${HINTS}`
    const { keys } = await this.#mirror.etcd.range({ key: prefix, rangeEnd: endOfPrefix(prefix) })
    return new Set(keys.map(({ key }) => key.slice(prefix.length)))
  }

  /**
   * Says where this node is. Rejects with CoordinatorUnavailable, and when its id is registered with another address that was written
   * meanwhile: two nodes with one id.
   */
  async register(node: NodeRegistration): Promise<void> {
    const key = `${NODE_KEYS}${node.id}`
    const { keys } = await this.#mirror.refresh()
    const known = keys.get(key)
    if (known && Buffer.compare(known.value, toJson(node)) === 0) return
    const made = await this.#mirror.commit({
      compare: [{ key, modRevision: known?.modRevision ?? 0 }],
      changes: [{ kind: 'put', key, value: toJson(node) }],
    })
    if (made === 'made') return
    // Our own change whose answer was lost, or another node's.
    const value = (await this.#mirror.refresh()).keys.get(key)?.value
    if (value && Buffer.compare(value, toJson(node)) === 0) return
    throw new Error(`another node registered as ${node.id} in the same moment`)
  }

  /**
   * Forgets a node that was removed, also when it registers in the same moment. Rejects with CoordinatorUnavailable, and when it
   * registers again and again.
   */
  async forget(nodeId: string): Promise<void> {
    const key = `${NODE_KEYS}${nodeId}`
    for (let tries = 0; tries < FORGET_TRIES; tries += 1) {
      const { keys } = await this.#mirror.refresh()
      const known = keys.get(key)
      if (known === undefined) return
      const compare = [{ key, modRevision: known.modRevision }]
      const changes = [{ kind: 'delete', key } as const]
      if ((await this.#mirror.commit({ compare, changes })) === 'made') return
    }
    throw new Error(`node ${nodeId} registers again and again: end its process`)
  }

  /** Shows signs of life until `signal` is aborted, then takes the hint away. Goes on by itself when etcd comes back. */
  async showSigns(nodeId: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts.world
    let lease: string | undefined
    while (!signal.aborted) {
      try {
        if (lease === undefined || !(await this.#mirror.etcd.keepAlive(lease))) {
          lease = await this.#begin(nodeId)
        }
      } catch (error) {
        this.#parts.log.debug({ error: String(error) }, 'no sign of life could be given to etcd')
      }
      // An aborted sleep only means that it is time to stop.
      await clock.sleep(SIGN_MS, signal).catch(() => undefined)
    }
    // Where etcd is away the lease ends by itself.
    if (lease !== undefined) await this.#mirror.etcd.revoke(lease).catch(() => undefined)
  }

  async #begin(nodeId: string): Promise<string> {
    const { etcd, prefix } = this.#mirror
    const { id: lease } = await etcd.grantLease(HINT_TTL_SECONDS)
    const key = `${prefix}${HINTS}${nodeId}`
    await etcd.txn({ compare: [], changes: [{ kind: 'put', key, value: toJson({}), lease }] })
    return lease
  }
}
