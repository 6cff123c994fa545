// Small requests between nodes and what became of them: numbers, and the fields that all of them have.
// Layout: docs/formats/node-protocol.md. What each request holds beside: shard-messages.ts.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import { lendPart } from '../../kit/lent-bytes.ts'
import { Overloaded } from '../../kit/semaphore.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { BadMessage, NodeFailed, NodeRefused } from './trouble.ts'

/** Kinds of small requests. Numbers are never reused. */
export const MessageType = {
  /** Whether a shard could be begun now. */
  ProbeRoom: 1,
  /** A whole small shard, made durable. */
  PutShard: 2,
  DeleteShard: 3,
  OpenShard: 4,
  ReadCell: 5,
  DescribeShard: 6,
  CloseShard: 7,
  MomentOnDrive: 8,
  /** Unless it was made again, moved there or kept since a moment. */
  DeleteUntouched: 9,
  KeepShard: 10,
  /** A cell of a shard of which nothing else is read: it does not stay open. */
  ReadSingle: 11,
  /** Bytes of a metadata partition's protocol, which only that knows. */
  Metadata: 32,
  /** A command for a metadata partition. */
  CommitCommand: 48,
  /** A question to a metadata partition. */
  AskQuestion: 49,
  /** Something about blobs that who leads their partition should look at. */
  ReportBlobs: 50,
  /** Which shards are orphans, who leads their partition is asked. */
  JudgeShards: 51,
  /** Nothing but whether the node answers. */
  Ping: 64,
  /** How a node's upkeep stands. */
  AskUpkeep: 65,
  /** Everything that can be mended is to be mended now. */
  MendNow: 66,
  /** Which other nodes answer this one. */
  WhomDoYouHear: 67,
  /** What the node knows of etcd. */
  WhatDoYouKnow: 68,
  /** How the drives of a node stand. */
  DescribeDrives: 72,
  /** A directory of the node is to become a drive. */
  EnterDrive: 73,
  /** A recovery of the cluster asks, or brings rows. */
  Recover: 80,
} as const

/** One request of a batch. `id` is of this batch only; `deadlineMs` on the clock of who is asked. */
export interface Message {
  id: number
  type: number
  deadlineMs: number
  body: Uint8Array
}

/** What became of it. */
export type Answer =
  | { kind: 'done'; id: number; body: Uint8Array }
  | { kind: 'failed'; id: number; failure: Error }

const DONE = 0
const FAILED = 1

// What a failure is. Numbers are never reused.
const FAILURES = { drive: 1, overloaded: 2, closing: 3, late: 4, 'unknown-request': 5, failed: 6 }
const DRIVE_TROUBLES = ['failed', 'full', 'unknown'] as const
/** Of a reason that is sent, in UTF-16 units. */
export const REASON_LENGTH_MAX = 500

/** Bytes of a request. */
export function encodeMessage({ id, type, deadlineMs, body }: Message): Buffer {
  return new FieldWriter().u32(id).u16(type).u64(deadlineMs).raw(body).end()
}

/** The request in `bytes`. */
export function decodeMessage(bytes: Uint8Array): Message {
  const fields = new FieldReader(bytes)
  const [id, type, deadlineMs] = [fields.u32(), fields.u16(), fields.u64()]
  return { id, type, deadlineMs, body: lentRest(bytes, fields) }
}

/** Bytes before the body of an answer to what was done. */
export function encodeDone(id: number): Buffer {
  return new FieldWriter().u32(id).u8(DONE).end()
}

/** Bytes of an answer to what was not. */
export function encodeFailed(id: number, error: unknown): Buffer {
  return new FieldWriter().u32(id).u8(FAILED).raw(encodeFailure(error)).end()
}

/** The answer in `bytes`. */
export function decodeAnswer(bytes: Uint8Array): Answer {
  const fields = new FieldReader(bytes)
  const id = fields.u32()
  const status = fields.u8()
  if (status === DONE) return { kind: 'done', id, body: lentRest(bytes, fields) }
  if (status !== FAILED) throw new BadMessage('an answer has an unknown status')
  return { kind: 'failed', id, failure: decodeFailure(fields.rest()) }
}

/** Bytes that tell the other node of an error. What has no type of its own is told as "failed", without its words. */
export function encodeFailure(error: unknown): Buffer {
  if (error instanceof DriveUnavailable) {
    const trouble = DRIVE_TROUBLES.indexOf(error.trouble)
    const reason = error.cause === undefined ? '' : String(error.cause)
    const fields = new FieldWriter().u8(FAILURES.drive).u32(error.driveId).u8(trouble)
    return fields.text(reason.slice(0, REASON_LENGTH_MAX)).end()
  }
  if (error instanceof Overloaded) return failure(FAILURES.overloaded, error.message)
  if (error instanceof NodeRefused) return failure(FAILURES[error.reason], error.message)
  if (error instanceof BadMessage) return failure(FAILURES['unknown-request'], error.message)
  return failure(FAILURES.failed, 'it failed for a reason that its log has')
}

/** The error that the other node told of. */
export function decodeFailure(bytes: Uint8Array): Error {
  const fields = new FieldReader(bytes)
  const kind = fields.u8()
  if (kind === FAILURES.drive) {
    const driveId = fields.u32()
    const trouble = DRIVE_TROUBLES[fields.u8()]
    if (trouble === undefined) throw new BadMessage('a drive has a trouble that is not known')
    const reason = fields.text()
    return new DriveUnavailable(driveId, trouble, reason === '' ? {} : { cause: reason })
  }
  const reason = fields.text()
  if (kind === FAILURES.overloaded) return new Overloaded(reason)
  for (const refusal of ['closing', 'late', 'unknown-request'] as const) {
    if (kind === FAILURES[refusal]) return new NodeRefused(reason, refusal)
  }
  // One that a newer version knows: all that is certain is that it did not end well.
  return new NodeFailed(reason)
}

/** What is left of bytes that may be lent, in their place. */
function lentRest(bytes: Uint8Array, fields: FieldReader): Uint8Array {
  return lendPart(bytes, bytes.length - fields.rest().length, bytes.length)
}

function failure(kind: number, reason: string): Buffer {
  return new FieldWriter().u8(kind).text(reason.slice(0, REASON_LENGTH_MAX)).end()
}
