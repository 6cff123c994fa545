// One replica of a replicated partition, whole: its log, its reign while it is primary, its eye on who else is.
// No I/O and no clock: it is told what happened, and take() gives what is to be done. Protocol: docs/formats/replication.md.
import type { LogPosition } from '../log/contract.ts'
import {
  type Decision,
  decidedEpoch,
  isNewer,
  NOBODY,
  type ReplicaId,
  reignEpoch,
  TERMS,
  takeOver,
  votersOf,
} from './decision.ts'
import type { DurableState, Effect, Limits } from './effects.ts'
import type { Message, PeerMessage, PrimaryMessage, ReplicaAnswer } from './message.ts'
import { PrimaryWatch } from './primary-watch.ts'
import { type NotTaken, Reign, type ReignTick } from './reign.ts'
import { ReplicaLog } from './replica-log.ts'

/** Who a replica is and what it begins with. */
export interface PartitionReplicaOptions {
  self: ReplicaId
  limits: Limits
  /** NEW_REPLICA, or what was durable when its process ended. */
  state: DurableState
}

/** What a replica needs of the world. */
export interface PartitionReplicaParts {
  /** A whole number from 0 to `below` - 1, by chance: it spreads those who would take over. */
  below: (below: number) => number
}

/** Answers are given by take(), which is called after every other call. */
export class PartitionReplica {
  readonly self: ReplicaId
  readonly #limits: Limits
  readonly #log: ReplicaLog
  readonly #watch: PrimaryWatch
  #decision: Decision | undefined
  #wanted: readonly ReplicaId[] = []
  #reign: Reign | undefined
  #effects: Effect[] = []
  #ownMessages: Message[] = []
  #waitTicks = 0
  #seenWrites = 0
  #seenInRows = 0

  constructor({ self, limits, state }: PartitionReplicaOptions, parts: PartitionReplicaParts) {
    this.self = self
    this.#limits = limits
    this.#decision = state.decision
    this.#watch = new PrimaryWatch(limits, parts.below)
    this.#log = new ReplicaLog(state, { self, limits, emit: (effect) => this.#emit(effect) })
    this.#log.start()
    this.#reignIfDecided()
    this.#settle()
  }

  /** The newest decision that this replica knows. */
  get decision(): Decision | undefined {
    return this.#decision
  }

  get log(): Pick<ReplicaLog, 'promised' | 'committed' | 'applied' | 'tail'> {
    return this.#log
  }

  /** The epoch of the reign under way here; undefined for who is not primary. */
  get reign(): number | undefined {
    return this.#reign?.epoch
  }

  get isServing(): boolean {
    return this.#reign?.isServing ?? false
  }

  /** What is to be done now, in order. Nothing is given twice. */
  take(): Effect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  /** The coordinator says this. Older decisions than the newest known one change nothing. */
  observe(decision: Decision): void {
    if (!isNewer(decision, this.#decision)) return
    this.#decision = decision
    this.#waitTicks = 0
    this.#watch.heard()
    this.#log.keep({ kind: 'decision', decision })
    if (this.#reign && decidedEpoch(this.#reign.epoch) === decision.epoch) {
      this.#reign.adopt(decision)
    } else {
      this.#depose()
      this.#reignIfDecided()
    }
    this.#settle()
  }

  /**
   * The coordinator says that nobody leads in this epoch: a reign of an older one ends here, and nothing of it is taken any more. From then on the log
   * stays as it is, until somebody leads in a newer epoch.
   */
  fence(epoch: number): void {
    const promise = reignEpoch(epoch, 0)
    if (promise <= this.#log.promised) return
    this.#depose()
    this.#log.promise(promise, NOBODY)
    this.#settle()
  }

  /** Whether a fence of this epoch, or something newer, is durable here, and nothing of before it changes the log or the rows any more. */
  isFenced(epoch: number): boolean {
    return this.#log.promised >= reignEpoch(epoch, 0) && this.#log.isPromiseKept
  }

  /** Where the replicas of this partition are wanted, by the map: whoever is primary goes there step by step. */
  want(replicas: readonly ReplicaId[]): void {
    this.#wanted = replicas
  }

  /**
   * Asks the coordinator to let the first of these lead that could soon. False when none could, or this replica does not serve. It serves
   * on until somebody else was decided.
   */
  handOver(heirs: readonly ReplicaId[]): boolean {
    const heir = this.#reign?.heirAmong(heirs)
    if (heir === undefined || this.#decision === undefined) return false
    this.#decide(takeOver(this.#decision, heir))
    return true
  }

  /**
   * Orders a batch: it is committed when an `apply` has it at the position that is returned. Applied with another epoch
   * at that sequence, it never happened. Nothing may be concluded from a time that passes.
   */
  propose(batch: Uint8Array): ({ kind: 'proposed' } & LogPosition) | NotTaken {
    if (this.#reign === undefined) return this.#notServing()
    const answer = this.#reign.propose(batch)
    this.#settle()
    return 'kind' in answer ? answer : { kind: 'proposed', ...answer }
  }

  /**
   * Orders batches as propose() does, and sends them together. Gives the positions of those that were taken: of fewer when too much waits,
   * of none when this replica does not serve.
   */
  proposeAll(batches: readonly Uint8Array[]): LogPosition[] {
    const positions: LogPosition[] = []
    for (const batch of batches) {
      const answer = this.#reign?.propose(batch)
      if (answer === undefined || 'kind' in answer) break
      positions.push(answer)
    }
    this.#settle()
    return positions
  }

  /**
   * Asks for a `read-ready` for `read`: once this replica surely was primary after the call, and rows hold everything
   * that was acknowledged before it, and the log up to `atLeast`. None comes after `deposed`.
   */
  read(read: number, atLeast = 0): { kind: 'asked' } | NotTaken {
    if (this.#reign === undefined) return this.#notServing()
    const answer = this.#reign.read(read, atLeast)
    this.#settle()
    return answer
  }

  /** A message came. */
  receive(from: ReplicaId, message: Message): void {
    this.#deliver(from, message)
    this.#settle()
  }

  /** Every write up to `number` is durable. */
  durable(number: number): void {
    this.#log.durable(number)
    this.#settle()
  }

  /** The answer to `copy-rows`: rows as of `position` are durable, under the number `copy`; undefined: it failed. */
  rowsCopied(position: LogPosition | undefined, copy: number): void {
    this.#log.rowsCopied(position, copy)
    this.#reign?.rowsCopied()
    this.#settle()
  }

  /** Rows hold everything up to this sequence, of what they were given to apply. */
  rowsReached(sequence: number): void {
    this.#log.rowsReached(sequence)
  }

  /** Rows are durable up to this applied sequence: older entries may go, but for what is retained for others. */
  rowsDurable(sequence: number): void {
    this.#log.rowsDurable(sequence, this.#reign?.lackedAfter)
  }

  /**
   * Time passes: about every 500 ms. Late or missing ticks make things slow, never wrong. Where nothing happens a primary gives signs of
   * life only in ticks that are beats.
   */
  tick(isBeat = true): void {
    const { isWriting, durableWrites, applied, inRows } = this.#log
    const isLate = isWriting && durableWrites === this.#seenWrites
    // However much waits: who takes some of it comes to the end.
    const areRowsLate = inRows < applied && inRows === this.#seenInRows
    this.#seenWrites = durableWrites
    this.#seenInRows = inRows
    if (this.#waitTicks > 0) this.#waitTicks -= 1
    if (this.#reign === undefined) this.#watchPrimary()
    else this.#rule(this.#reign, { isLate, areRowsLate, isBeat })
    this.#settle()
  }

  #rule(reign: Reign, tick: ReignTick): void {
    reign.tick(tick)
    if (this.#waitTicks > 0) return
    const step = reign.changeTowards(this.#wanted)
    if (step.kind === 'decide') this.#decide(step.to)
  }

  #watchPrimary(): void {
    if (this.#decision === undefined) return
    const step = this.#watch.tick(this.self, this.#log.tail.last, this.#decision)
    if (step.kind === 'take-over') this.#decide(takeOver(this.#decision, this.self))
    if (step.kind !== 'ask') return
    const message = { kind: 'doubt', epoch: this.#decision.epoch } as const
    for (const to of votersOf(this.#decision)) {
      if (to !== this.self) this.#emit({ kind: 'send', to, message })
    }
  }

  /** One compare-and-swap at a time; one without an outcome may be tried again. */
  #decide(to: Decision): void {
    if (this.#decision === undefined) return
    this.#waitTicks = this.#limits.decideTicks
    this.#emit({ kind: 'decide', from: this.#decision, to })
  }

  #deliver(from: ReplicaId, message: Message): void {
    switch (message.kind) {
      case 'append':
      case 'fence':
      case 'fetch':
      case 'confirm':
      case 'install':
        this.#obey(from, message)
        return
      case 'doubt':
      case 'doubted':
        this.#confer(from, message)
        return
      default:
        this.#hearAnswer(from, message)
        return
    }
  }

  #obey(from: ReplicaId, message: PrimaryMessage): void {
    if (this.#reign && message.epoch > this.#reign.epoch) this.#depose()
    const wasTaken = this.#log.receive(from, message)
    if (wasTaken && message.kind === 'append' && message.steady) this.#watch.heard()
  }

  #hearAnswer(from: ReplicaId, answer: ReplicaAnswer): void {
    if (this.#reign === undefined || answer.epoch !== this.#reign.epoch) return
    if (answer.kind !== 'refused') this.#reign.receive(from, answer)
    else if (answer.promised >= this.#reign.epoch) this.#giveWay(answer.promised)
  }

  /** Somebody newer was promised; or another one in this very epoch, which etcd gave twice: it is left to that one, and the next begins. */
  #giveWay(promised: number): void {
    const isSame = promised === this.#reign?.epoch
    this.#depose()
    if (isSame) this.#reignIfDecided()
  }

  #confer(from: ReplicaId, message: PeerMessage): void {
    const known = this.#decision?.epoch ?? 0
    if (message.kind === 'doubted') {
      if (message.epoch === known) this.#watch.answered(from, message.misses, message.last)
      return
    }
    const misses = message.epoch >= known && this.#missesPrimary()
    const { last } = this.#log.tail
    const answer = { kind: 'doubted', epoch: message.epoch, misses, last } as const
    this.#emit({ kind: 'send', to: from, message: answer })
  }

  #missesPrimary(): boolean {
    return this.#reign === undefined ? this.#watch.misses : !this.#reign.isSteady
  }

  /**
   * Begins a reign if the coordinator gave the epoch to this replica. The promise is durable before anything is said in
   * it, so no (epoch, term) is used twice, however often the process ends.
   */
  #reignIfDecided(): void {
    const { promised } = this.#log
    if (this.#decision?.primary !== this.self) return
    const { epoch } = this.#decision
    if (epoch < decidedEpoch(promised)) return
    const term = epoch === decidedEpoch(promised) ? (promised % TERMS) + 1 : 0
    if (term >= TERMS) {
      this.#decide(takeOver(this.#decision, this.self))
      return
    }
    this.#log.promise(reignEpoch(epoch, term), this.self)
    this.#reign = new Reign(this.#decision, {
      self: this.self,
      epoch: reignEpoch(epoch, term),
      log: this.#log,
      limits: this.#limits,
      emit: (effect) => this.#emit(effect),
    })
  }

  #depose(): void {
    if (this.#reign === undefined) return
    this.#emit({ kind: 'deposed', epoch: this.#reign.epoch })
    this.#reign = undefined
  }

  #notServing(): NotTaken {
    return { kind: 'not-serving', primary: this.#decision?.primary }
  }

  /** A primary talks to its own replica like to any other, without a network. */
  #emit(effect: Effect): void {
    if (effect.kind === 'send' && effect.to === this.self) this.#ownMessages.push(effect.message)
    else this.#effects.push(effect)
  }

  #settle(): void {
    do {
      for (let next = this.#ownMessages.shift(); next; next = this.#ownMessages.shift()) {
        this.#deliver(this.self, next)
      }
      this.#reign?.goOn()
    } while (this.#ownMessages.length > 0)
  }
}
