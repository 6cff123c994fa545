// Metadata partitions, asked wherever they are led. Who leads one is a guess until that node answers: a request is sent
// again, to another node or the same, until one answers or its time is over. What may be concluded: docs/formats/node-protocol.md.
import { Overloaded } from '../../kit/semaphore.ts'
import { SearchTooLong } from '../../metadata/commands/rows-in-order.ts'
import type {
  Answers,
  AnswerTo,
  Command,
  DeletionOutcome,
  MetaPartitionId,
  Queries,
  ReachablePartition,
} from '../../metadata/contract.ts'
import { type Ask, type QuestionName, queriesThrough } from '../../metadata/questions.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import { WAITING_MS, type WaitingTime } from '../../metadata/waiting-time.ts'
import type { JudgedShard, ShardVerdict } from '../upkeep/judge-shards.ts'
import { MessageType } from './messages.ts'
import {
  decodeReply,
  encodeCommit,
  encodeQuestion,
  isWalk,
  readAnswer,
  readAnswered,
} from './partition-messages.ts'
import type { RemotePartitionParts } from './partition-seams.ts'
import { PrimaryGuess } from './primary-guess.ts'
import { NodeRefused, NodeUnreachable, VersionsTooFarApart } from './trouble.ts'
import { type BlobReport, decodeVerdicts, encodeJudge, encodeReport } from './upkeep-messages.ts'

/** How long requests go on, in milliseconds. */
export interface PartitionWaits {
  commitMs: number
  questionMs: number
  /** Of a question that reads many rows. */
  walkMs: number
  /** One attempt of a command or a question: somebody else may lead by then. */
  attemptMs: number
  /** One attempt of a question that reads many rows. */
  walkAttemptMs: number
}

const WAITS: PartitionWaits = {
  // After the last byte of a body. A partition remembers commands for much longer.
  commitMs: WAITING_MS,
  questionMs: 15_000,
  walkMs: WAITING_MS,
  attemptMs: 5_000,
  walkAttemptMs: 15_000,
}

// A partition that goes to another node is back within seconds.
const FIRST_PAUSE_MS = 25
const PAUSE_MS_MAX = 500

/** Nodes that send on from one to the other know nothing: then it is better to wait. */
const REDIRECTS_MAX = 3

/** Answers that will be the same next time, such as that a request is not known. */
const FAILURES_MAX = 3

/** Lanes of partitions that hang. A node has 256 lanes for all that is asked of it. */
const TROUBLED_LANES = 32

/** Partitions wherever they are led. */
export interface RemotePartitions {
  partitions: readonly ReachablePartition[]
  /** Tells whoever leads the partition of blobs. Rejects with MetadataUnavailable when nobody heard it, with Overloaded when they are too many now. */
  report(partition: MetaPartitionId, report: BlobReport): Promise<void>
  /** Asks whoever leads the partition which of these are orphans. Rejects with MetadataUnavailable when nobody says so. */
  judge(partition: MetaPartitionId, shards: readonly JudgedShard[]): Promise<ShardVerdict[]>
  close(): void
}

/** Partitions 0 to `count` - 1. They listen to the hints until close(). */
export function remotePartitions(
  count: number,
  parts: RemotePartitionParts,
  waits: Partial<PartitionWaits> = {},
): RemotePartitions {
  const askers = Array.from(
    { length: count },
    (_, id) => new PartitionAsker(id, parts, { ...WAITS, ...waits }),
  )
  const close = parts.primaries.watch((id) => askers[id]?.hear())
  return {
    partitions: askers.map((asker) => partitionBehind(asker)),
    report: (partition, report) => askers[partition]!.report(report),
    judge: (partition, shards) => askers[partition]!.judge(shards),
    close,
  }
}

function partitionBehind(asker: PartitionAsker, time?: WaitingTime): ReachablePartition {
  const ask = (name: QuestionName, asked: Parameters<Queries[QuestionName]>): Promise<unknown> =>
    asker.ask(name, asked, time)
  return {
    // TypeScript does not see that a question is answered by its name.
    ...queriesThrough(ask as Ask),
    id: asker.id,
    commit: (command) => asker.commit(command, time),
    within: (bounds) => partitionBehind(asker, bounds),
  }
}

interface Request {
  lane: string
  type: number
  body: Uint8Array
  attemptMs: number
  /** Given up then, on the monotonic clock. */
  endMs: number
}

/** What became of one attempt. */
type Outcome =
  | { kind: 'answered'; answer: Uint8Array }
  | { kind: 'redirected'; to: string }
  | Trouble

/** `isOpen`: what was asked may be done yet, or was. `isLasting`: it would be the same next time. */
interface Trouble {
  kind: 'trouble'
  cause: unknown
  isOpen: boolean
  isSilent?: boolean
  isLasting?: boolean
}

/** A request on its way, over all its attempts. */
class Pursuit {
  readonly request: Request
  readonly begunMs: number
  /** Somebody was asked in vain, or nobody could be. */
  hasWaited = false
  /** Until then earlier attempts may be done: their nodes begin nothing for them afterwards. */
  openUntilMs = Number.NEGATIVE_INFINITY
  /** When the last attempt began. */
  sentMs = 0
  redirects = 0
  failures = 0
  pauseMs = FIRST_PAUSE_MS
  trouble: unknown

  constructor(request: Request, begunMs: number) {
    this.request = request
    this.begunMs = begunMs
  }
}

/** Asks one partition. */
class PartitionAsker {
  readonly id: MetaPartitionId
  readonly #parts: RemotePartitionParts
  readonly #waits: PartitionWaits
  readonly #guess: PrimaryGuess

  constructor(id: MetaPartitionId, parts: RemotePartitionParts, waits: PartitionWaits) {
    this.id = id
    this.#parts = parts
    this.#waits = waits
    this.#guess = new PrimaryGuess(id, parts)
  }

  /** Somebody else leads. */
  hear(): void {
    this.#guess.hear()
  }

  /** It is not given up because nobody waits any more: the bytes that it names would be left behind. */
  async commit<C extends Command>(command: C, time?: WaitingTime): Promise<AnswerTo<C>> {
    const { commitMs, attemptMs } = this.#waits
    const pursuit = this.#begin({
      lane: 'commit',
      type: MessageType.CommitCommand,
      body: encodeCommit(this.id, command),
      attemptMs,
      endMs: this.#endOf(commitMs, time),
    })
    try {
      return await this.#pursueCommand(command, pursuit)
    } finally {
      if (pursuit.hasWaited) time?.lose(pursuit.begunMs)
    }
  }

  async #pursueCommand<C extends Command>(command: C, pursuit: Pursuit): Promise<AnswerTo<C>> {
    for (;;) {
      const answer = this.#read(pursuit, await this.#pursue(pursuit), (bytes) =>
        readAnswer<C>(command.kind, bytes),
      )
      // An earlier attempt that was on its way yet might do what this one did not, and nobody would know.
      if (leftTrace(command.kind, answer) || pursuit.openUntilMs <= pursuit.sentMs) return answer
      await this.#parts.world.clock.sleep(Math.max(0, pursuit.openUntilMs - this.#nowMs))
    }
  }

  async ask<Name extends QuestionName>(
    name: Name,
    asked: Parameters<Queries[Name]>,
    time?: WaitingTime,
  ): Promise<Awaited<ReturnType<Queries[Name]>>> {
    const { questionMs, walkMs, attemptMs, walkAttemptMs } = this.#waits
    const isLong = isWalk(name)
    const pursuit = this.#begin({
      // Walks of all partitions of a node go together: a page of a listing is one request to each node.
      lane: isLong ? 'walk' : 'ask',
      type: MessageType.AskQuestion,
      body: encodeQuestion(this.id, { name, asked }),
      attemptMs: isLong ? walkAttemptMs : attemptMs,
      endMs: this.#endOf(isLong ? walkMs : questionMs, time),
    })
    try {
      const answer = await this.#pursue(pursuit, time)
      return this.#read(pursuit, answer, (bytes) => readAnswered(name, bytes))
    } finally {
      if (pursuit.hasWaited) time?.lose(pursuit.begunMs)
    }
  }

  async report(report: BlobReport): Promise<void> {
    const { questionMs, attemptMs } = this.#waits
    const pursuit = this.#begin({
      lane: 'report',
      type: MessageType.ReportBlobs,
      body: encodeReport(this.id, report),
      attemptMs,
      endMs: this.#nowMs + questionMs,
    })
    await this.#pursue(pursuit)
  }

  async judge(shards: readonly JudgedShard[]): Promise<ShardVerdict[]> {
    const { walkMs, walkAttemptMs } = this.#waits
    const pursuit = this.#begin({
      lane: 'judge',
      type: MessageType.JudgeShards,
      body: encodeJudge(this.id, shards),
      attemptMs: walkAttemptMs,
      endMs: this.#nowMs + walkMs,
    })
    const answer = await this.#pursue(pursuit)
    return this.#read(pursuit, answer, (bytes) => decodeVerdicts(bytes, shards.length))
  }

  get #nowMs(): number {
    return this.#parts.world.clock.monotonicMs()
  }

  #begin(request: Request): Pursuit {
    return new Pursuit(request, this.#nowMs)
  }

  #endOf(ms: number, time: WaitingTime | undefined): number {
    return Math.min(this.#nowMs + ms, time?.untilMs ?? Number.POSITIVE_INFINITY)
  }

  /** The answer, from whoever leads. */
  async #pursue(pursuit: Pursuit, time?: WaitingTime): Promise<Uint8Array> {
    while (this.#nowMs < pursuit.request.endMs && pursuit.failures < FAILURES_MAX) {
      if (pursuit.hasWaited && time?.isForNobody) break
      const node = this.#guess.next()
      if (node !== undefined) {
        const outcome = await this.#attempt(node, pursuit)
        if (outcome.kind === 'answered') {
          this.#guess.answered(node)
          return outcome.answer
        }
        pursuit.hasWaited = true
        if (this.#noteAndGoOn(node, outcome, pursuit)) continue
      }
      pursuit.hasWaited = true
      const leftMs = Math.max(0, pursuit.request.endMs - this.#nowMs)
      await this.#guess.pause(Math.min(pursuit.pauseMs, leftMs))
      pursuit.pauseMs = Math.min(2 * pursuit.pauseMs, PAUSE_MS_MAX)
    }
    throw this.#unavailable(pursuit)
  }

  async #attempt(node: string, pursuit: Pursuit): Promise<Outcome> {
    const { lane, type, body, attemptMs, endMs } = pursuit.request
    pursuit.sentMs = this.#nowMs
    const deadlineMs = Math.min(pursuit.sentMs + attemptMs, endMs)
    const isTroubled = this.#guess.isTroubled(pursuit.sentMs)
    const ownLane = isTroubled ? `${lane} ${this.id % TROUBLED_LANES}` : lane
    const attempt = this.#parts.transport
      .askPartition(node, ownLane, { type, body, deadlineMs })
      .then((reply) => outcomeOf(reply, node))
      .catch((error) => outcomeOfError(error))
    const outcome = await this.#guess.unlessMoved(node, attempt, MOVED)
    if (outcome.kind === 'trouble' && outcome.isOpen && type === MessageType.CommitCommand) {
      pursuit.openUntilMs = Math.max(pursuit.openUntilMs, deadlineMs)
    }
    return outcome
  }

  /** True where there is somebody else to ask at once. */
  #noteAndGoOn(
    node: string,
    outcome: Exclude<Outcome, { kind: 'answered' }>,
    pursuit: Pursuit,
  ): boolean {
    if (outcome.kind === 'redirected') {
      this.#guess.tell(outcome.to)
      pursuit.redirects += 1
      pursuit.trouble = new Error(`node ${node} says that node ${outcome.to} leads it`)
      return pursuit.redirects % REDIRECTS_MAX !== 0
    }
    const { cause, isSilent = false, isLasting = false } = outcome
    this.#guess.doubt(node, { isSilent })
    pursuit.trouble = cause
    if (isLasting) pursuit.failures += 1
    const isOver = cause instanceof SearchTooLong || cause instanceof Overloaded
    // Whoever is told that too much waits believes that nothing was done.
    if (isOver && pursuit.openUntilMs === Number.NEGATIVE_INFINITY) throw cause
    return outcome === MOVED
  }

  /** What a node answered. That nobody understands it says nothing of what was done. */
  #read<Answer>(pursuit: Pursuit, bytes: Uint8Array, read: (bytes: Uint8Array) => Answer): Answer {
    try {
      return read(bytes)
    } catch (error) {
      pursuit.trouble = error
      throw this.#unavailable(pursuit)
    }
  }

  #unavailable({ trouble, openUntilMs }: Pursuit): MetadataUnavailable {
    const why = trouble === undefined ? 'nobody seems to lead it' : String(trouble)
    const openMs = Math.max(0, openUntilMs - this.#nowMs)
    const lateEnd = openMs === 0 ? Promise.resolve() : this.#parts.world.clock.sleep(openMs)
    return new MetadataUnavailable(`metadata partition ${this.id} does not answer: ${why}`, {
      ...(trouble === undefined ? {} : { cause: trouble }),
      lateEnd,
    })
  }
}

/**
 * Whether a later attempt would find that the command was done. One that was refused left nothing that tells, and neither
 * did one that deleted what was not there: were it done again, it would delete what came meanwhile.
 */
function leftTrace(kind: Command['kind'], answer: Answers[Command['kind']]): boolean {
  if (answer.kind !== 'done') return false
  // Its answer is the same whether there was something to delete or not.
  if (kind === 'delete-annotation') return false
  if (kind === 'delete-object') return isChange(answer as DeletionOutcome)
  if (kind !== 'delete-objects') return true
  // All of them are told where one of them changed something.
  return (answer as Extract<Answers['delete-objects'], { kind: 'done' }>).outcomes.some(isChange)
}

function isChange(outcome: DeletionOutcome): boolean {
  if (outcome.kind !== 'done') return false
  return outcome.removed !== undefined || outcome.made !== undefined
}

const MOVED: Trouble = {
  kind: 'trouble',
  cause: new Error('another node leads it by now'),
  isOpen: true,
}

function outcomeOf(bytes: Uint8Array, node: string): Outcome {
  const reply = decodeReply(bytes)
  switch (reply.kind) {
    case 'answered':
      return reply
    case 'elsewhere': {
      const { primary } = reply
      if (primary !== undefined && primary !== node) return { kind: 'redirected', to: primary }
      return trouble(new Error(`node ${node} does not lead it`), { isOpen: false })
    }
    case 'unavailable':
      return trouble(new MetadataUnavailable(reply.reason), { isOpen: true })
    case 'search-too-long':
      return trouble(new SearchTooLong(reply.reason), { isOpen: false })
  }
}

function outcomeOfError(error: unknown): Outcome {
  if (error instanceof NodeUnreachable) {
    return { ...trouble(error, { isOpen: error.outcome === 'unknown' }), isSilent: true }
  }
  if (error instanceof Overloaded) return trouble(error, { isOpen: false })
  if (error instanceof NodeRefused) {
    return { ...trouble(error, { isOpen: false }), isLasting: error.reason === 'unknown-request' }
  }
  if (error instanceof VersionsTooFarApart) {
    return { ...trouble(error, { isOpen: false }), isLasting: true }
  }
  return { ...trouble(error, { isOpen: true }), isLasting: true }
}

function trouble(cause: unknown, { isOpen }: { isOpen: boolean }): Trouble {
  return { kind: 'trouble', cause, isOpen }
}
