// What requests about metadata partitions and their answers hold: a few fields, then CBOR. docs/formats/node-protocol.md.
import type { AnswerTo, Command, MetaPartitionId, Queries } from '../../metadata/contract.ts'
import type { QuestionName } from '../../metadata/questions.ts'
import { cbor, unpack } from './cbor.ts'
import { answerShape, commandShape } from './command-shapes.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { REASON_LENGTH_MAX } from './messages.ts'
import { answeredShape, askedShape, isQuestion } from './question-shapes.ts'
import { BadMessage } from './trouble.ts'

/** A question and what is asked with it. */
export interface Question<Name extends QuestionName = QuestionName> {
  name: Name
  asked: Parameters<Queries[Name]>
}

/** What a node says to a request about a partition. */
export type PartitionReply =
  /** `answer`: CBOR. */
  | { kind: 'answered'; answer: Uint8Array }
  /** Nothing was done: the partition is not led here. `primary`: the node that seems to lead it. */
  | { kind: 'elsewhere'; primary: string | undefined }
  /** MetadataUnavailable: a command may have been done. */
  | { kind: 'unavailable'; reason: string }
  | { kind: 'search-too-long'; reason: string }

// Numbers are never reused.
const ANSWERED = 0
const ELSEWHERE = 1
const UNAVAILABLE = 2
const SEARCH_TOO_LONG = 3

/** Questions that read many rows. */
const WALKS: ReadonlySet<QuestionName> = new Set<QuestionName>([
  ...(['scanObjects', 'scanUploads', 'scanVersions', 'scanAnnotations', 'countUploads'] as const),
  ...(['scanBlobs', 'owedBlobs', 'findInOrder', 'dueGarbage'] as const),
])

/** Whether a question reads many rows: it takes longer, and few are asked at once. */
export function isWalk(name: QuestionName): boolean {
  return WALKS.has(name)
}

/** Bytes of a command: of what its type has, whatever else it was made of. */
export function encodeCommit(partition: MetaPartitionId, command: Command): Buffer {
  const fields = new FieldWriter().u32(partition)
  return fields.raw(cbor.encode(commandShape(command, 'ignored'))).end()
}

/** A command. Throws BadMessage for one that this version does not know all of. */
export function decodeCommit(bytes: Uint8Array): { partition: MetaPartitionId; command: Command } {
  const fields = new FieldReader(bytes)
  return { partition: fields.u32(), command: unpack(fields.rest(), commandShape, 'refused') }
}

/** Bytes of a question. */
export function encodeQuestion(partition: MetaPartitionId, { name, asked }: Question): Buffer {
  const fields = new FieldWriter().u32(partition).text(name)
  return fields.raw(cbor.encode(askedShape(name)(asked, 'ignored'))).end()
}

/** A question. Throws BadMessage for one that this version does not know all of. */
export function decodeQuestion(bytes: Uint8Array): {
  partition: MetaPartitionId
  question: Question
} {
  const fields = new FieldReader(bytes)
  const partition = fields.u32()
  const name = fields.text()
  if (!isQuestion(name)) throw new BadMessage('a question is not known')
  const asked = unpack(fields.rest(), askedShape(name), 'refused')
  return { partition, question: { name, asked } }
}

/** Bytes of what a partition answered. */
export function encodeAnswered(answer: unknown): readonly Uint8Array[] {
  return [Uint8Array.of(ANSWERED), cbor.encode(answer)]
}

/** Bytes of any other reply. */
export function encodeReply(reply: Exclude<PartitionReply, { kind: 'answered' }>): Buffer {
  switch (reply.kind) {
    case 'elsewhere':
      return new FieldWriter()
        .u8(ELSEWHERE)
        .text(reply.primary ?? '')
        .end()
    case 'unavailable':
      return encodeReason(UNAVAILABLE, reply.reason)
    case 'search-too-long':
      return encodeReason(SEARCH_TOO_LONG, reply.reason)
  }
}

/** A reply. */
export function decodeReply(bytes: Uint8Array): PartitionReply {
  const fields = new FieldReader(bytes)
  switch (fields.u8()) {
    case ANSWERED:
      return { kind: 'answered', answer: fields.rest() }
    case ELSEWHERE: {
      const primary = fields.text()
      return { kind: 'elsewhere', primary: primary === '' ? undefined : primary }
    }
    case UNAVAILABLE:
      return { kind: 'unavailable', reason: fields.text() }
    case SEARCH_TOO_LONG:
      return { kind: 'search-too-long', reason: fields.text() }
    default:
      throw new BadMessage('a reply is not known')
  }
}

/** What a command of the kind answered. Throws BadMessage. */
export function readAnswer<C extends Command>(kind: C['kind'], answer: Uint8Array): AnswerTo<C> {
  return unpack(answer, answerShape(kind), 'ignored')
}

/** What the question answered. Throws BadMessage. */
export function readAnswered<Name extends QuestionName>(
  name: Name,
  answer: Uint8Array,
): Awaited<ReturnType<Queries[Name]>> {
  return unpack(answer, answeredShape(name), 'ignored')
}

function encodeReason(status: number, reason: string): Buffer {
  return new FieldWriter().u8(status).text(reason.slice(0, REASON_LENGTH_MAX)).end()
}
