// What a node does for those who ask the metadata partitions that it leads: their requests become calls of the partition.

import { Overloaded, Semaphore } from '../../kit/semaphore.ts'
import { unlessAborted } from '../../kit/unless-aborted.ts'
import { SearchTooLong } from '../../metadata/commands/rows-in-order.ts'
import type { MetadataPartition, MetaPartitionId } from '../../metadata/contract.ts'
import { askQuestion } from '../../metadata/questions.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import { MessageType } from './messages.ts'
import type { MessageHandler, NodeService, RequestContext, StreamHandler } from './node-service.ts'
import {
  decodeCommit,
  decodeQuestion,
  encodeAnswered,
  encodeReply,
  isWalk,
  type PartitionReply,
} from './partition-messages.ts'
import type { PartitionServiceParts } from './partition-seams.ts'
import { NodeFailed, NodeRefused } from './trouble.ts'

// One walk takes the event loop for milliseconds: more at once would only make each of them later.
const WALKS = 64
const WALKS_WAITING = 1024

/** Serves the partitions that are led here. */
export class PartitionService implements NodeService {
  readonly messages: ReadonlyMap<number, MessageHandler>
  readonly streams: ReadonlyMap<string, StreamHandler> = new Map()
  readonly #parts: PartitionServiceParts
  readonly #walks = new Semaphore(WALKS, { maxWaiting: WALKS_WAITING })

  constructor(parts: PartitionServiceParts) {
    this.#parts = parts
    this.messages = new Map<number, MessageHandler>([
      [MessageType.CommitCommand, (body, context) => this.#commit(body, context)],
      [MessageType.AskQuestion, (body, context) => this.#ask(body, context)],
    ])
  }

  #commit(body: Uint8Array, context: RequestContext): Promise<readonly Uint8Array[]> {
    const { partition, command } = decodeCommit(body)
    const { clock } = this.#parts
    const isLate = (): boolean =>
      context.signal.aborted || clock.monotonicMs() >= context.deadlineMs
    return this.#answer(partition, context, (led) => led.commit(command, { isLate }))
  }

  async #ask(body: Uint8Array, context: RequestContext): Promise<readonly Uint8Array[]> {
    const { partition, question } = decodeQuestion(body)
    const { name, asked } = question
    const answer = await this.#answer(partition, context, async (led) => {
      if (!isWalk(name)) return await askQuestion(led, name, asked)
      await this.#walks.acquire(1, context.signal)
      try {
        const walk: Promise<unknown> = askQuestion(led, name, asked)
        return await unlessAborted(walk, context.signal)
      } finally {
        this.#walks.release()
      }
    })
    // Not for commands: that there is no room for an answer must not be taken for a command that was not done.
    await context.holdAnswer(answer.reduce((sum, { length }) => sum + length, 0))
    return answer
  }

  async #answer(
    partition: MetaPartitionId,
    context: RequestContext,
    ask: (led: MetadataPartition) => Promise<unknown>,
  ): Promise<readonly Uint8Array[]> {
    const led = this.#parts.findLed(partition)
    if (led === undefined) {
      const primary = this.#parts.primaries.primaryOf(partition)
      return [encodeReply({ kind: 'elsewhere', primary })]
    }
    try {
      // What hangs goes on behind the back of who asked, and keeps nothing of the room for messages.
      return encodeAnswered(await unlessAborted(ask(led), context.signal))
    } catch (error) {
      return [encodeReply(this.#replyTo(error, partition))]
    }
  }

  /** Throws what is told as it is. */
  #replyTo(error: unknown, partition: number): Exclude<PartitionReply, { kind: 'answered' }> {
    if (error instanceof MetadataUnavailable) return { kind: 'unavailable', reason: error.message }
    if (error instanceof SearchTooLong) return { kind: 'search-too-long', reason: error.message }
    // Its asker has gone, or its time was over while it was under way: a command may be done yet.
    if (error instanceof NodeRefused) return { kind: 'unavailable', reason: error.message }
    if (error instanceof Overloaded) throw error
    this.#parts.log.error(
      { partition, error: String(error) },
      'a metadata partition could not answer',
    )
    throw new NodeFailed('a metadata partition could not answer')
  }
}
