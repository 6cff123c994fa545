// One node: at most one replica of the partition, with its drive, its rows and the requests that wait for it.
// It does for the shipped protocol what a storage node will have to do.

import type { LogEntry } from '../../../src/metadata/log/entry.ts'
import { type ReplicaId, votersOf } from '../../../src/metadata/replication/decision.ts'
import type { Effect, Limits } from '../../../src/metadata/replication/effects.ts'
import type { Message } from '../../../src/metadata/replication/message.ts'
import { PartitionReplica } from '../../../src/metadata/replication/partition-replica.ts'
import { mayRetire } from '../../../src/metadata/replication/replica-log.ts'
import type { Seeded } from '../../support/seeded.ts'
import { ABSENT } from '../history.ts'
import type { Audit } from './audit.ts'
import type { CoordinatorState, SimulatedCoordinator } from './coordinator.ts'
import { type RowsAt, SimulatedDisk } from './disk.ts'
import { type Network, nodeOf } from './network.ts'
import { type ClusterWorld, oneIn, TICK } from './world.ts'

/** What a client asks: to read a key, or to put a label into it, maybe only if `is` holds. */
export interface Request {
  key: string
  /** Undefined: a read. */
  label: string | undefined
  /** Undefined: whatever it holds. */
  is: string | undefined
}

export type Reply =
  | { kind: 'done' }
  | { kind: 'refused' }
  | { kind: 'value'; label: string }
  /** It was not done, and never will be: it may be asked again. */
  | { kind: 'not-done' }

export type Answer = (reply: Reply) => void

export interface HostParts {
  world: ClusterWorld
  network: Network
  coordinator: SimulatedCoordinator
  audit: Audit
  limits: Limits
  /** Copies the rows of another node's replica. */
  copyOf: (source: ReplicaId) => RowsAt | undefined
}

interface Proposed {
  epoch: number
  key: string
  label: string
  answer: Answer
}

/** A node that runs, is paused, or is down. */
export class Host {
  readonly number: number
  isUp = true
  isPaused = false
  readonly #parts: HostParts
  readonly #random: Seeded
  readonly #period: number
  #id: ReplicaId | undefined
  #incarnation = 0
  #disk: SimulatedDisk
  #core: PartitionReplica | undefined
  #life = 0
  #rows = new Map<string, string>()
  #applied = { epoch: 0, sequence: 0 }
  #proposed = new Map<number, Proposed>()
  #reads = new Map<number, () => void>()
  #lastRead = 0
  #lastCopy = 0
  #missed: (() => void)[] = []
  #ticks = 0
  #wanted: readonly ReplicaId[] = []

  constructor(number: number, parts: HostParts) {
    this.number = number
    this.#parts = parts
    this.#random = parts.world.random(`host ${number}`)
    this.#disk = new SimulatedDisk(parts.world, this.#random)
    // Clocks run at half to twice their speed.
    this.#period = Math.round(TICK * (0.5 + this.#random.below(150) / 100))
    parts.world.schedule.after(this.#random.below(this.#period), () => this.#tick())
    parts.world.schedule.after(this.#random.below(500), () => this.#poll())
  }

  get id(): ReplicaId | undefined {
    return this.#id
  }

  get core(): PartitionReplica | undefined {
    return this.#core
  }

  /** A copy for another replica, or for the end of a run. */
  get rowsNow(): RowsAt {
    return { position: this.#applied, rows: new Map(this.#rows) }
  }

  set isSlow(isSlow: boolean) {
    this.#disk.delay = isSlow ? 900 : 10
  }

  /** A new replica, which was never anybody before. */
  make(): ReplicaId {
    this.#incarnation += 1
    this.#id = `${this.number}-${this.#incarnation}` as ReplicaId
    this.#disk = new SimulatedDisk(this.#parts.world, this.#random)
    if (this.isUp) this.#start()
    return this.#id
  }

  /** Drive and replica are gone for ever. */
  destroy(): void {
    this.#stop()
    this.#id = undefined
  }

  crash(): void {
    if (!this.isUp) return
    this.isUp = false
    this.isPaused = false
    this.#stop()
  }

  restart(): void {
    if (this.isUp) return
    this.isUp = true
    if (this.#id !== undefined) this.#start()
  }

  /** Nothing happens here for a while; what came meanwhile comes all at once. */
  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    const missed = this.#missed
    this.#missed = []
    for (const work of missed) work()
  }

  /** What a client asks of this node. */
  ask(request: Request, answer: Answer): void {
    this.#when(() => this.#handle(request, answer))
  }

  /** The coordinator says something. */
  hear(state: CoordinatorState): void {
    this.#when(() => this.#observe(state))
  }

  /** A recovery says that nobody leads in this epoch. */
  tellFence(epoch: number): void {
    this.#when(() => {
      this.#core?.fence(epoch)
      this.#carryOut()
    })
  }

  /** A message that came over the network. */
  receive(to: ReplicaId, from: ReplicaId, message: Message): void {
    this.#when(() => {
      if (to !== this.#id || this.#core === undefined) return
      this.#parts.world.trace(`${to} < ${from} ${message.kind} ${message.epoch}`)
      this.#core.receive(from, message)
      this.#carryOut()
    })
  }

  /** Does `work` if the node runs, and later if it is paused. A crash forgets it. */
  #when(work: () => void): void {
    if (!this.isUp) return
    if (this.isPaused) this.#missed.push(work)
    else this.#parts.world.guard(work)
  }

  #inThisLife(work: () => void): () => void {
    const life = this.#life
    return () => {
      if (life !== this.#life) return
      this.#when(() => {
        if (life === this.#life) work()
      })
    }
  }

  #start(): void {
    const { world, limits } = this.#parts
    this.#life += 1
    this.#rows = new Map(this.#disk.rows.rows)
    this.#applied = this.#disk.rows.position
    world.trace(`${this.#id} begins at ${this.#applied.sequence}`)
    world.guard(() => {
      const options = { self: this.#id!, limits, state: this.#disk.state }
      this.#core = new PartitionReplica(options, { below: (below) => this.#random.below(below) })
      this.#carryOut()
    })
  }

  #stop(): void {
    this.#life += 1
    this.#disk.crash()
    this.#core = undefined
    this.#proposed.clear()
    this.#reads.clear()
    this.#missed = []
  }

  #tick(): void {
    this.#parts.world.schedule.after(this.#period, () => this.#tick())
    if (!this.isUp || this.isPaused || this.#core === undefined) return
    this.#parts.world.guard(() => {
      // It hears late what is in the rows: until then it may take no new entries.
      this.#ticks += 1
      if (this.#ticks % 2 === 0) this.#core?.rowsReached(this.#applied.sequence)
      this.#core?.tick()
      this.#carryOut()
      if (oneIn(this.#random, 8)) this.#checkpoint()
    })
  }

  /** A watch with gaps is as good as none: everybody reads again, now and then. */
  #poll(): void {
    const { world, coordinator } = this.#parts
    world.schedule.after(200 + this.#random.below(400), () => this.#poll())
    if (!this.isUp || this.isPaused) return
    coordinator.read((state) => this.hear(state))
  }

  #observe({ decision, wanted, fence }: CoordinatorState): void {
    this.#wanted = wanted
    if (this.#core === undefined || this.#id === undefined) return
    if (fence !== undefined) {
      this.#core.fence(fence)
      this.#carryOut()
      return
    }
    const { promised } = this.#core.log
    const isOut = !wanted.includes(this.#id) && mayRetire({ promised, id: this.#id }, decision)
    if (isOut && !votersOf(this.#core.decision ?? decision).includes(this.#id)) {
      this.#parts.world.trace(`${this.#id} retires`)
      this.destroy()
      return
    }
    this.#core.want(this.#wanted)
    this.#core.observe(decision)
    this.#carryOut()
  }

  #checkpoint(): void {
    this.#disk.checkpoint(this.rowsNow)
    this.#core?.rowsDurable(this.#applied.sequence)
  }

  #handle(request: Request, answer: Answer): void {
    if (this.#core === undefined) {
      answer({ kind: 'not-done' })
      return
    }
    if (request.label === undefined) {
      this.#read(0, () => answer({ kind: 'value', label: this.#valueOf(request.key) }), answer)
    } else if (request.is !== undefined && this.#newestOf(request.key) !== request.is) {
      // It rests on entries that may not be committed yet.
      const { sequence } = this.#core.log.tail.last
      this.#read(sequence, () => answer({ kind: 'refused' }), answer)
    } else {
      this.#propose(request.key, request.label, answer)
    }
    this.#carryOut()
  }

  #read(atLeast: number, ready: () => void, answer: Answer): void {
    this.#lastRead += 1
    const asked = this.#core?.read(this.#lastRead, atLeast)
    if (asked?.kind === 'asked') this.#reads.set(this.#lastRead, ready)
    else answer({ kind: 'not-done' })
  }

  #propose(key: string, label: string, answer: Answer): void {
    const proposed = this.#core?.propose(Buffer.from(`${key} ${label}`))
    if (proposed?.kind !== 'proposed') {
      answer({ kind: 'not-done' })
      return
    }
    const { epoch, sequence } = proposed
    this.#proposed.set(sequence, { epoch, key, label, answer })
  }

  #valueOf(key: string): string {
    return this.#rows.get(key) ?? ABSENT
  }

  /** On top of what is on its way. */
  #newestOf(key: string): string {
    let newest = this.#valueOf(key)
    for (const proposed of this.#proposed.values())
      if (proposed.key === key) newest = proposed.label
    return newest
  }

  #carryOut(): void {
    for (const effect of this.#core?.take() ?? []) this.#do(effect)
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.#parts.network.send(this.#id!, effect.to, effect.message)
        return
      case 'write':
        this.#write(effect)
        return
      case 'apply':
        this.#apply(effect.entries)
        return
      case 'read-ready':
        this.#reads.get(effect.read)?.()
        this.#reads.delete(effect.read)
        return
      case 'serving':
        this.#parts.world.trace(`${this.#id} serves ${effect.epoch}`)
        this.#parts.audit.serves(`${this.#id} in life ${this.#life}`, effect.epoch)
        return
      case 'deposed':
        this.#reads.clear()
        return
      case 'decide':
        this.#parts.coordinator.decide(
          effect.from,
          effect.to,
          this.#answered((state) => this.#observe(state)),
        )
        return
      case 'copy-rows':
        this.#copyRows(effect.source)
        return
    }
  }

  #answered<T>(take: (value: T) => void): (value: T) => void {
    const life = this.#life
    return (value) =>
      this.#when(() => {
        if (life === this.#life) take(value)
      })
  }

  #write({ number, changes }: Effect & { kind: 'write' }): void {
    for (const change of changes) {
      if (change.kind !== 'entries') continue
      for (const entry of change.entries) this.#parts.audit.wrote(this.#id!, entry)
    }
    const durable = this.#inThisLife(() => {
      // Copied rows take the place of the rows in the step that makes them durable.
      if (changes.some(({ kind }) => kind === 'rows')) this.#adoptRows()
      this.#core?.durable(number)
      this.#carryOut()
    })
    this.#disk.write(changes, durable)
  }

  #adoptRows(): void {
    this.#rows = new Map(this.#disk.rows.rows)
    this.#applied = this.#disk.rows.position
    for (const sequence of this.#proposed.keys()) {
      if (sequence <= this.#applied.sequence) this.#proposed.delete(sequence)
    }
  }

  #apply(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      this.#parts.audit.applied(this.#id!, entry)
      const [key, label] = Buffer.from(entry.batch).toString().split(' ')
      if (label !== undefined) this.#rows.set(key!, label)
      this.#applied = { epoch: entry.epoch, sequence: entry.sequence }
      const proposed = this.#proposed.get(entry.sequence)
      this.#proposed.delete(entry.sequence)
      proposed?.answer(proposed.epoch === entry.epoch ? { kind: 'done' } : { kind: 'not-done' })
    }
  }

  /** The other node sends its rows as they are when it is asked; they may be on their way for long. */
  #copyRows(source: ReplicaId): void {
    const { world, network, copyOf } = this.#parts
    this.#lastCopy += 1
    const copy = this.#lastCopy
    const isCut = network.isCut(nodeOf(source), this.number)
    const rows = isCut || oneIn(this.#random, 5) ? undefined : copyOf(source)
    const arrive = this.#inThisLife(() => {
      if (rows !== undefined) this.#disk.copies.set(copy, rows)
      this.#core?.rowsCopied(rows?.position, copy)
      this.#carryOut()
    })
    world.schedule.after(20 + this.#random.below(400), arrive)
  }
}
