// What hosts of replicas ask each other, as bytes and back. Layout: docs/formats/node-protocol.md.
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import { FieldReader, FieldWriter, readMany } from '../rpc/fields.ts'
import { readReplica } from '../rpc/replica-field.ts'
import { BadMessage } from '../rpc/trouble.ts'
import type { CopiedRow, RowsPage } from './contract.ts'
import type { RenewalState } from './row-jobs.ts'
import type { DigestState } from './rows-digest.ts'

/** What one host asks another. */
export type ReplicaRequest =
  /** Messages of the replication protocol. Answered by those that happen to be there for the asker just then. */
  | { kind: 'messages'; messages: readonly Uint8Array[] }
  /** Answered by the name of a replica. */
  | { kind: 'prepare'; driveId: number; partition: number }
  /** Answered by yes or no. */
  | { kind: 'lives'; replica: ReplicaId; partition: number }
  /** Answered by a page of rows, or by the end. `copy` is a number that the asker draws by chance; pages are asked for in order. */
  | { kind: 'page'; copy: number; index: number; source: ReplicaId; partition: number }
  /** No more pages are wanted. */
  | { kind: 'end-copy'; copy: number }
  /** Answered by how a digest stands. `ask` is a number that the asker draws by chance. */
  | { kind: 'digest'; ask: number; replica: ReplicaId; partition: number; sequence: number }
  /** Answered by how it is with the rows of `replica`, which are to be made anew from those of `source`. */
  | { kind: 'renew'; replica: ReplicaId; partition: number; source: ReplicaId }

const KINDS = {
  ...{ messages: 1, prepare: 2, lives: 3, page: 4, 'end-copy': 5, digest: 6, renew: 7 },
} as const

// Numbers are never reused.
const DIGEST_KINDS = ['waiting', 'reading', 'passed', 'digest', 'rotten'] as const
const RENEWAL_STATES = ['running', 'done', 'failed'] as const

/** Of one request, however small they are. */
const MESSAGES_MAX = 4096
const ROWS_MAX = 0x1_0000

/** The bytes of a request. */
export function encodeRequest(request: ReplicaRequest): Buffer {
  const fields = new FieldWriter().u8(KINDS[request.kind])
  switch (request.kind) {
    case 'messages':
      writeMessages(request.messages, fields)
      break
    case 'prepare':
      fields.u32(request.driveId).u32(request.partition)
      break
    case 'lives':
      fields.text(request.replica).u32(request.partition)
      break
    case 'page':
      fields.u64(request.copy).u32(request.index).text(request.source).u32(request.partition)
      break
    case 'end-copy':
      fields.u64(request.copy)
      break
    case 'digest':
      fields.u64(request.ask).text(request.replica).u32(request.partition).u64(request.sequence)
      break
    case 'renew':
      fields.text(request.replica).u32(request.partition).text(request.source)
      break
  }
  return fields.end()
}

/** The request in the bytes. Throws BadMessage. */
export function decodeRequest(bytes: Uint8Array): ReplicaRequest {
  const fields = new FieldReader(bytes)
  const request = readRequest(fields.u8(), fields)
  fields.end()
  return request
}

/** Messages as an answer: none are no bytes. */
export function encodeMessages(messages: readonly Uint8Array[]): Buffer {
  const fields = new FieldWriter()
  if (messages.length > 0) writeMessages(messages, fields)
  return fields.end()
}

/** What a host answers to `messages`, in the memory of `bytes`: none for no bytes. Throws BadMessage. */
export function decodeMessages(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === 0) return []
  const fields = new FieldReader(bytes)
  const messages = readMessages(fields)
  fields.end()
  return messages
}

/** The name of a replica as an answer. */
export function encodeReplica(replica: ReplicaId): Buffer {
  return new FieldWriter().text(replica).end()
}

/** What a host answers to `prepare`. Throws BadMessage, also for what can not be the name of a replica. */
export function decodeReplica(bytes: Uint8Array): ReplicaId {
  const fields = new FieldReader(bytes)
  const replica = readReplica(fields)
  fields.end()
  return replica
}

/** Yes or no. */
export function encodeFlag(flag: boolean): Buffer {
  return new FieldWriter().u8(flag ? 1 : 0).end()
}

/** What a host answers to `lives`: 1 is yes, every other byte no. Throws BadMessage unless it is one byte. */
export function decodeFlag(bytes: Uint8Array): boolean {
  const fields = new FieldReader(bytes)
  const flag = fields.u8() === 1
  fields.end()
  return flag
}

/** A page, or the end of a copy. */
export function encodePage(page: RowsPage | undefined): Buffer {
  const fields = new FieldWriter().u8(page === undefined ? 0 : 1)
  if (page === undefined) return fields.end()
  fields.u64(page.position.epoch).u64(page.position.sequence).u32(page.rows.length)
  for (const { key, value } of page.rows) fields.bytes(key).bytes(value)
  return fields.end()
}

/** What a host answers to `page`; undefined is the end. Rows are the memory of `bytes`. Throws BadMessage. */
export function decodePage(bytes: Uint8Array): RowsPage | undefined {
  const fields = new FieldReader(bytes)
  const page = fields.u8() === 1 ? readPage(fields) : undefined
  fields.end()
  return page
}

/** How a digest stands. */
export function encodeDigest(state: DigestState): Buffer {
  const fields = new FieldWriter().u8(DIGEST_KINDS.indexOf(state.kind))
  if (state.kind === 'digest') fields.u64(state.epoch).u64(state.rows).text(state.digest)
  return fields.end()
}

/** What a host answers to `digest`. Throws BadMessage, also for a state that this version does not know. */
export function decodeDigest(bytes: Uint8Array): DigestState {
  const fields = new FieldReader(bytes)
  const kind = DIGEST_KINDS[fields.u8()]
  if (kind === undefined) throw new BadMessage('a digest stands as nobody knows')
  const state =
    kind === 'digest'
      ? { kind, epoch: fields.u64(), rows: fields.u64(), digest: fields.text() }
      : { kind }
  fields.end()
  return state
}

/** How it is with rows that are made anew. */
export function encodeRenewal(state: RenewalState): Buffer {
  return new FieldWriter().u8(RENEWAL_STATES.indexOf(state)).end()
}

/** What a host answers to `renew`. Throws BadMessage, also for a state that this version does not know. */
export function decodeRenewal(bytes: Uint8Array): RenewalState {
  const fields = new FieldReader(bytes)
  const state = RENEWAL_STATES[fields.u8()]
  if (state === undefined) throw new BadMessage('rows are made anew as nobody knows')
  fields.end()
  return state
}

function readRequest(kind: number, fields: FieldReader): ReplicaRequest {
  switch (kind) {
    case KINDS.messages:
      return { kind: 'messages', messages: readMessages(fields) }
    case KINDS.prepare:
      return { kind: 'prepare', driveId: fields.u32(), partition: fields.u32() }
    case KINDS.lives:
      return { kind: 'lives', replica: readReplica(fields), partition: fields.u32() }
    case KINDS.page: {
      const [copy, index] = [fields.u64(), fields.u32()]
      return { kind: 'page', copy, index, source: readReplica(fields), partition: fields.u32() }
    }
    case KINDS['end-copy']:
      return { kind: 'end-copy', copy: fields.u64() }
    case KINDS.digest: {
      const [ask, replica] = [fields.u64(), readReplica(fields)]
      return { kind: 'digest', ask, replica, partition: fields.u32(), sequence: fields.u64() }
    }
    case KINDS.renew: {
      const [replica, partition] = [readReplica(fields), fields.u32()]
      return { kind: 'renew', replica, partition, source: readReplica(fields) }
    }
    default:
      throw new BadMessage('a replica is asked for something that is not known')
  }
}

function writeMessages(messages: readonly Uint8Array[], fields: FieldWriter): void {
  fields.u32(messages.length)
  for (const message of messages) fields.bytes(message)
}

function readMessages(fields: FieldReader): Uint8Array[] {
  return readMany(fields, MESSAGES_MAX, () => fields.bytes())
}

function readPage(fields: FieldReader): RowsPage {
  const position = { epoch: fields.u64(), sequence: fields.u64() }
  const rows = readMany(fields, ROWS_MAX, (): CopiedRow => {
    const key = fields.bytes()
    return { key, value: fields.bytes() }
  })
  return { position, rows }
}
