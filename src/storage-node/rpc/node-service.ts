// What a node does for others: the seam between the sockets (node-server.ts) and those who know what is asked.
import type { HeldFrame } from './frames.ts'

/** One request and its end. */
export interface RequestContext {
  /** The node that asks. */
  from: string
  /** On this node's monotonic clock: nothing is begun for the request afterwards. */
  deadlineMs: number
  /** Aborts at the deadline of the exchange, and when the asker has gone. */
  signal: AbortSignal
  /** Throws NodeRefused once it is too late to begin, or to go on to, a step that changes something. */
  checkDeadline(): void
  /** Waits for room for an answer of so many bytes; it is given back when the answer was sent. */
  holdAnswer(bytes: number): Promise<void>
}

/** Answers one kind of small request, with bytes or with several that follow each other: throws what messages.ts can tell the asker. */
export type MessageHandler = (
  body: Uint8Array,
  context: RequestContext,
) => Promise<Uint8Array | readonly Uint8Array[]>

/** A request that streams: frames come, and go, while it is under way. */
export interface StreamContext extends RequestContext {
  /** The frames that come, up to their end. Each is done() before the next is asked for, or its memory counts on. */
  frames: AsyncGenerator<HeldFrame>
  /** Sends a frame; resolves when more can be sent. */
  answer(kind: number, ...payload: readonly Uint8Array[]): Promise<void>
  /** The stream goes on: another deadline. */
  extendDeadline(deadlineMs: number): void
}

/** Answers one kind of stream. What it throws is told as a frame of the kind Failed. */
export type StreamHandler = (context: StreamContext) => Promise<void>

/** All that a node does for others. */
export interface NodeService {
  /** By MessageType. */
  messages: ReadonlyMap<number, MessageHandler>
  /** By path. */
  streams: ReadonlyMap<string, StreamHandler>
}

/** Where batches of small requests go. */
export const MESSAGES_PATH = '/kintsugi/node/messages'

/** Where a shard is written, cell by cell. */
export const WRITE_SHARD_PATH = '/kintsugi/node/shard'
