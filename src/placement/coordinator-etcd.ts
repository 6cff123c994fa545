// The coordinator of a cluster: etcd decides. Every decision is one compare-and-swap on the head, whose random id tells
// whether a change whose answer was lost was made. Keys: docs/formats/etcd-keys.md.

import { asBuffer } from '../kit/bytes.ts'
import { Turns } from '../kit/turns.ts'
import type { World } from '../kit/world.ts'
import {
  type Change,
  type ClusterState,
  type Coordinator,
  CoordinatorUnavailable,
} from './coordinator.ts'
import type { EtcdClient } from './etcd/etcd-client.ts'
import { EtcdUnavailable } from './etcd/etcd-errors.ts'
import { historyChanges, leadsTo } from './etcd/history.ts'
import type { KeyImage } from './etcd/key-image.ts'
import {
  DEFAULT_PREFIX,
  EtcdMirror,
  IMAGE,
  type MirrorOptions,
  type MirrorParts,
  type Standing,
} from './etcd/mirror.ts'
import {
  type Agreed,
  ANCESTORS,
  changedKeys,
  EPOCHS_OF_GENERATION,
  fromJson,
  HEAD_KEY,
  type Head,
  NO_CLUSTER,
  readAgreed,
} from './etcd/state-keys.ts'

/** Where the cluster is in etcd, where it is remembered, and how long decisions may take. */
export interface EtcdCoordinatorOptions extends MirrorOptions {
  /**
   * How long a decision may take that others are in the way of, or whose outcome is open, from when it was asked for; 10 s when left out. An
   * attempt that is under way then is waited for.
   */
  decideMs?: number
}

/** A decision that is to be made, or perhaps was. */
interface Draft {
  agreed: Agreed
  /** The revision of the head that it follows on. */
  onRevision: number
  before: ClusterState
}

const DECIDE_MS = 10_000
const PAUSE_MS = 10
const PAUSE_MS_MAX = 500

/** A Coordinator whose memory is etcd. */
export class EtcdCoordinator implements Coordinator {
  readonly mirror: EtcdMirror
  readonly #world: Pick<World, 'clock' | 'random'>
  readonly #decideMs: number
  readonly #listeners = new Set<(state: ClusterState) => void>()
  #agreed: Agreed
  readonly #turns = new Turns()
  readonly #readings = new Turns()
  #nextReading: Promise<ClusterState> | undefined

  private constructor(mirror: EtcdMirror, agreed: Agreed, world: MirrorParts['world'], ms: number) {
    this.mirror = mirror
    this.#agreed = agreed
    this.#world = world
    this.#decideMs = ms
    mirror.onChange((image) => this.#follow(image))
  }

  /** Makes `first` the first decision of a new cluster, where none is. Its epoch is given here. */
  static async create(
    first: Omit<ClusterState, 'epoch'>,
    {
      prefix = DEFAULT_PREFIX,
      etcd,
      world,
    }: Pick<MirrorOptions, 'prefix'> & Pick<MirrorParts, 'etcd' | 'world'>,
  ): Promise<void> {
    const generation = 1
    const epoch = generation * EPOCHS_OF_GENERATION
    const head: Head = { generation, epoch, id: newId(world), ancestors: [] }
    const under = `${prefix}${IMAGE}`
    const changes = changedKeys(undefined, first, head)
    const txn = {
      compare: [{ key: `${under}${HEAD_KEY}`, modRevision: 0 }],
      changes: changes.map((change) => ({ ...change, key: `${under}${change.key}` })),
    }
    let open: unknown
    const { succeeded } = await etcd.txn(txn).catch((error) => {
      if (!(error instanceof EtcdUnavailable)) throw error
      open = error
      return { succeeded: false }
    })
    // It may have been made, and the answer been lost: then the next endpoint refuses, or nobody is left who says so.
    if (succeeded || (await isThere(head, { etcd, prefix }))) return
    throw (
      open ??
      new CoordinatorUnavailable(
        `there is a cluster in etcd already, under ${prefix}: kintsugi cluster token lets another node join it, another --etcd-prefix makes a second cluster`,
        { why: 'refused' },
      )
    )
  }

  /** Rejects with CoordinatorUnavailable when etcd is away and was never known here, or has no cluster. */
  static async open(options: EtcdCoordinatorOptions, parts: MirrorParts): Promise<EtcdCoordinator> {
    const mirror = await EtcdMirror.open(options, parts)
    try {
      const agreed = agreedIn(mirror.image)
      const decideMs = options.decideMs ?? DECIDE_MS
      return new EtcdCoordinator(mirror, agreed, parts.world, decideMs)
    } catch (error) {
      await mirror.close()
      throw error
    }
  }

  /** The latest decision that is known here: behind the others while etcd is away. */
  get state(): ClusterState {
    return this.#agreed.state
  }

  get standing(): Standing {
    return this.mirror.standing
  }

  /** Changes of this process queue up; those of others make it compute its change again. */
  decide(change: Change): Promise<ClusterState> {
    const untilMs = this.#world.clock.monotonicMs() + this.#decideMs
    const { silences } = this.mirror
    return this.#turns.run(async () => {
      this.mirror.refuseAfter(silences)
      if (this.#isLate(untilMs)) {
        const message = 'its turn did not come in time: etcd is slow'
        throw new CoordinatorUnavailable(message, { why: 'contended' })
      }
      return await this.#decide(change, untilMs)
    })
  }

  /** Those who ask while one reads share the next one. */
  refresh(): Promise<ClusterState> {
    this.#nextReading ??= this.#readings.run(async () => {
      this.#nextReading = undefined
      await this.mirror.refresh()
      return this.state
    })
    return this.#nextReading
  }

  watch(listener: (state: ClusterState) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Waits for the decisions under way. */
  async close(): Promise<void> {
    await this.#turns.ended()
    await this.mirror.close()
    this.#listeners.clear()
  }

  async #decide(change: Change, untilMs: number): Promise<ClusterState> {
    // What was sent and may have been made.
    let open: Draft | undefined
    for (let tries = 0; ; tries += 1) {
      try {
        const image = await this.mirror.refresh()
        if (open && (await this.#wasMade(open, image))) return open.agreed.state
        // What can not be made any more was not.
        open = stillPossible(open, image)
        const draft = open ?? this.#draft(image, change)
        if (draft === undefined) return agreedIn(image).state
        const outcome = await this.#commit(draft).catch((error) => {
          if (isOpen(error)) open = draft
          throw error
        })
        if (outcome === 'made') return draft.agreed.state
        // Others were quicker, or an attempt whose answer was lost.
        open = draft
      } catch (error) {
        // Everyone whose change was not sent hears at once that etcd is away.
        if (open === undefined) throw error
        if (!isAway(error)) return await this.#settle(open, error)
        if (this.#isLate(untilMs)) throw asOpen(error)
      }
      if (open !== undefined && this.#isLate(untilMs)) {
        const error = new CoordinatorUnavailable('others decide all the time', { why: 'contended' })
        return await this.#settle(open, error)
      }
      await this.#pause(tries)
    }
  }

  /** The last word on a draft that was sent: that it was made, or `error` where it can not be any more. Otherwise nobody knows. */
  async #settle(draft: Draft, error: unknown): Promise<ClusterState> {
    const image = await this.mirror.refresh().catch((cause) => {
      throw asOpen(cause)
    })
    if (await this.#wasMade(draft, image)) return draft.agreed.state
    throw stillPossible(draft, image) ? asOpen(error) : error
  }

  #isLate(untilMs: number): boolean {
    return this.#world.clock.monotonicMs() >= untilMs
  }

  #draft(image: KeyImage, change: Change): Draft | undefined {
    const { head, state: before } = agreedIn(image)
    const next = change(before)
    if (next === undefined || next === before) return undefined
    const epoch = head.epoch + 1
    const ancestors: Head['ancestors'] = [...head.ancestors, [head.epoch, head.id]]
    const id = newId(this.#world)
    const { generation } = head
    const nextHead = { generation, epoch, id, ancestors: ancestors.slice(-ANCESTORS) }
    const onRevision = image.keys.get(HEAD_KEY)?.modRevision ?? 0
    return { agreed: { head: nextHead, state: { ...next, epoch } }, onRevision, before }
  }

  #commit({ agreed, onRevision, before }: Draft): Promise<'made' | 'lost'> {
    return this.mirror.commit({
      compare: [{ key: HEAD_KEY, modRevision: onRevision }],
      changes: changedKeys(before, agreed.state, agreed.head),
      besides: historyChanges(this.mirror.prefix, agreed.head),
    })
  }

  async #wasMade({ agreed }: Draft, image: KeyImage): Promise<boolean> {
    try {
      return await leadsTo(agreed.head, agreedIn(image).head, this.mirror)
    } catch (cause) {
      throw new CoordinatorUnavailable('etcd went away', { cause, why: 'open' })
    }
  }

  #follow(image: KeyImage): void {
    const agreed = agreedIn(image)
    if (agreed.head.id === this.#agreed.head.id) return
    this.#agreed = agreed
    for (const listener of this.#listeners) listener(agreed.state)
  }

  /** Longer from try to try, and never the same for two. */
  async #pause(tries: number): Promise<void> {
    const { clock, random } = this.#world
    const most = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(tries, 16))
    await clock.sleep((most * ((random.bytes(1)[0] ?? 0) + 1)) / 256)
  }
}

/** Whether what is in etcd follows from this decision: nodes may have decided more by now. */
async function isThere(head: Head, parts: { etcd: EtcdClient; prefix: string }): Promise<boolean> {
  const { keys } = await parts.etcd.range({ key: `${parts.prefix}${IMAGE}${HEAD_KEY}` })
  const found = keys[0] && (fromJson(keys[0].value) as Head)
  return found !== undefined && (await leadsTo(head, found, parts))
}

function agreedIn(image: KeyImage): Agreed {
  try {
    const agreed = readAgreed(image)
    if (agreed !== undefined) return agreed
  } catch (cause) {
    throw new CoordinatorUnavailable((cause as Error).message, { cause, why: 'refused' })
  }
  throw new CoordinatorUnavailable(NO_CLUSTER, { why: 'refused' })
}

/** It may be sent again as it is, or still be on its way, while the head that it follows on is the last one. */
function stillPossible(open: Draft | undefined, image: KeyImage): Draft | undefined {
  return open?.onRevision === image.keys.get(HEAD_KEY)?.modRevision ? open : undefined
}

function isOpen(error: unknown): boolean {
  return error instanceof CoordinatorUnavailable && error.why === 'open'
}

function isAway(error: unknown): boolean {
  return isOpen(error) || (error instanceof CoordinatorUnavailable && error.why === 'away')
}

function asOpen(error: unknown): CoordinatorUnavailable {
  const { message } = error as Error
  return new CoordinatorUnavailable(`nobody knows whether it was decided: ${message}`, {
    cause: error,
    why: 'open',
  })
}

function newId({ random }: Pick<World, 'random'>): string {
  return asBuffer(random.bytes(8)).toString('hex')
}
