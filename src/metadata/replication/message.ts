// Messages between replicas of one partition, as bytes and back. Layout: docs/formats/replication.md.
// Any of them may be lost, late, repeated or out of order.
import { Encoder } from 'cbor-x'
import { mebibytes } from '../../kit/bytes.ts'
import type { LogPosition } from '../log/contract.ts'
import { follows, type LogEntry } from '../log/entry.ts'
import type { ReplicaId } from './decision.ts'

/** What a primary says to a replica. Every `epoch` is that of its reign. */
export type PrimaryMessage =
  /** Put these behind `previous`. `steady`: the primary does well, nobody needs to look for another. */
  | {
      kind: 'append'
      epoch: number
      previous: LogPosition
      entries: readonly LogEntry[]
      committed: number
      steady: boolean
    }
  /** Promise to take nothing from older reigns, and say how your log ends. */
  | { kind: 'fence'; epoch: number }
  /** Your entries after this: the primary itself lacks them. */
  | { kind: 'fetch'; epoch: number; after: LogPosition }
  /** Am I still the primary? */
  | { kind: 'confirm'; epoch: number; round: number }
  /** You lack entries that the primary does not have any more: copy its rows. */
  | { kind: 'install'; epoch: number; base: LogPosition }

/** What a replica answers. `epoch` repeats that of the question. */
export type ReplicaAnswer =
  /** The log of the replica is that of the primary up to `matched`, and durable. */
  | { kind: 'appended'; epoch: number; matched: number }
  /** It can not be put there: go on from `committed`, up to which the logs surely agree. */
  | { kind: 'behind'; epoch: number; committed: LogPosition }
  | { kind: 'fenced'; epoch: number; last: LogPosition }
  | { kind: 'fetched'; epoch: number; after: LogPosition; entries: readonly LogEntry[] }
  /** Entries that were asked for are gone: copy the rows. */
  | { kind: 'trimmed'; epoch: number; base: LogPosition }
  | { kind: 'confirmed'; epoch: number; round: number }
  | { kind: 'refused'; epoch: number; promised: number }

/** What replicas say to each other. `epoch` is that of the coordinator. */
export type PeerMessage =
  /** Do you miss the primary of this epoch too? */
  | { kind: 'doubt'; epoch: number }
  | { kind: 'doubted'; epoch: number; misses: boolean; last: LogPosition }

/** All that replicas of one partition say to each other; who gets one decides by its epoch whether it counts. */
export type Message = PrimaryMessage | ReplicaAnswer | PeerMessage
/** What kind of message it is; on the wire each has a number (docs/formats/replication.md). */
export type MessageKind = Message['kind']

/** A message with its way. Who is not `to` throws it away: a replica that was made anew is somebody else. */
export interface Envelope {
  partition: number
  from: ReplicaId
  to: ReplicaId
  message: Message
}

/** Bytes that are no message of this version. */
export class BadMessage extends Error {
  override readonly name = 'BadMessage'
  readonly code = 'BAD_MESSAGE'
}

/** One entry of the largest batch, and some room. */
const MESSAGE_BYTES_MAX = mebibytes(33)

const VERSION = 1
const ID_LENGTH_MAX = 64
const ENTRIES_MAX = 0x1_0000
const cbor = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false })

/** Numbers on the wire. They are never used again for something else. */
const KINDS: { readonly [Kind in MessageKind]: number } = {
  append: 1,
  appended: 2,
  behind: 3,
  refused: 4,
  fence: 5,
  fenced: 6,
  fetch: 7,
  fetched: 8,
  trimmed: 9,
  confirm: 10,
  confirmed: 11,
  install: 12,
  doubt: 13,
  doubted: 14,
}
const KIND_OF = new Map(
  Object.entries(KINDS).map(([kind, number]) => [number, kind as MessageKind]),
)

/** The bytes of a message. */
export function encodeMessage({ partition, from, to, message }: Envelope): Uint8Array {
  return cbor.encode([VERSION, partition, from, to, KINDS[message.kind], ...pack(message)])
}

/** The message in the bytes. Throws BadMessage for anything that encodeMessage() does not make. */
export function decodeMessage(bytes: Uint8Array): Envelope {
  if (bytes.length > MESSAGE_BYTES_MAX) throw new BadMessage(`${bytes.length} bytes`)
  const fields = new Fields(parse(bytes))
  if (fields.number() !== VERSION) throw new BadMessage('another version')
  const partition = fields.number()
  const from = fields.replica()
  const to = fields.replica()
  const kind = KIND_OF.get(fields.number())
  if (kind === undefined) throw new BadMessage('an unknown kind')
  const message = unpack[kind](fields)
  fields.end()
  return { partition, from, to, message }
}

type Packed = number | boolean | Uint8Array | Packed[]

function pack(message: Message): Packed[] {
  switch (message.kind) {
    case 'append': {
      const { epoch, previous, entries, committed, steady } = message
      return [epoch, packPosition(previous), entries.map(packEntry), committed, steady]
    }
    case 'fetched':
      return [message.epoch, packPosition(message.after), message.entries.map(packEntry)]
    case 'appended':
      return [message.epoch, message.matched]
    case 'behind':
      return [message.epoch, packPosition(message.committed)]
    case 'refused':
      return [message.epoch, message.promised]
    case 'fenced':
      return [message.epoch, packPosition(message.last)]
    case 'fetch':
      return [message.epoch, packPosition(message.after)]
    case 'trimmed':
    case 'install':
      return [message.epoch, packPosition(message.base)]
    case 'confirm':
    case 'confirmed':
      return [message.epoch, message.round]
    case 'fence':
    case 'doubt':
      return [message.epoch]
    case 'doubted':
      return [message.epoch, message.misses, packPosition(message.last)]
  }
}

const unpack: { readonly [Kind in MessageKind]: (fields: Fields) => Message & { kind: Kind } } = {
  append: (fields) => {
    const epoch = fields.number()
    const previous = fields.position()
    const entries = fields.entries(previous)
    return {
      kind: 'append',
      epoch,
      previous,
      entries,
      committed: fields.number(),
      steady: fields.flag(),
    }
  },
  fetched: (fields) => {
    const epoch = fields.number()
    const after = fields.position()
    return { kind: 'fetched', epoch, after, entries: fields.entries(after) }
  },
  appended: (fields) => ({ kind: 'appended', epoch: fields.number(), matched: fields.number() }),
  behind: (fields) => ({ kind: 'behind', epoch: fields.number(), committed: fields.position() }),
  refused: (fields) => ({ kind: 'refused', epoch: fields.number(), promised: fields.number() }),
  fence: (fields) => ({ kind: 'fence', epoch: fields.number() }),
  fenced: (fields) => ({ kind: 'fenced', epoch: fields.number(), last: fields.position() }),
  fetch: (fields) => ({ kind: 'fetch', epoch: fields.number(), after: fields.position() }),
  trimmed: (fields) => ({ kind: 'trimmed', epoch: fields.number(), base: fields.position() }),
  confirm: (fields) => ({ kind: 'confirm', epoch: fields.number(), round: fields.number() }),
  confirmed: (fields) => ({ kind: 'confirmed', epoch: fields.number(), round: fields.number() }),
  install: (fields) => ({ kind: 'install', epoch: fields.number(), base: fields.position() }),
  doubt: (fields) => ({ kind: 'doubt', epoch: fields.number() }),
  doubted: (fields) => {
    const epoch = fields.number()
    return { kind: 'doubted', epoch, misses: fields.flag(), last: fields.position() }
  },
}

function packPosition({ epoch, sequence }: LogPosition): Packed[] {
  return [epoch, sequence]
}

function packEntry({ epoch, sequence, prevEpoch, committed, batch }: LogEntry): Packed[] {
  return [epoch, sequence, prevEpoch, committed, batch]
}

function parse(bytes: Uint8Array): unknown {
  try {
    return cbor.decode(bytes)
  } catch (cause) {
    throw new BadMessage('no CBOR', { cause })
  }
}

/** Takes fields one by one, and each only as what it must be. */
class Fields {
  readonly #values: readonly unknown[]
  #next = 0

  constructor(values: unknown) {
    if (!Array.isArray(values)) throw new BadMessage('no list')
    this.#values = values
  }

  number(): number {
    const value = this.#take()
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
    throw new BadMessage('no number')
  }

  flag(): boolean {
    const value = this.#take()
    if (typeof value === 'boolean') return value
    throw new BadMessage('neither true nor false')
  }

  replica(): ReplicaId {
    const value = this.#take()
    if (typeof value === 'string' && value !== '' && value.length <= ID_LENGTH_MAX) {
      return value as ReplicaId
    }
    throw new BadMessage('no replica')
  }

  position(): LogPosition {
    const fields = new Fields(this.#take())
    const position = { epoch: fields.number(), sequence: fields.number() }
    fields.end()
    return position
  }

  /** Entries that follow `previous` without a gap. */
  entries(previous: LogPosition): LogEntry[] {
    const values = this.#take()
    if (!Array.isArray(values) || values.length > ENTRIES_MAX) throw new BadMessage('no entries')
    let last = previous
    return values.map((value) => {
      const entry = entryOf(new Fields(value))
      if (!follows(entry, last)) throw new BadMessage('a gap between entries')
      last = entry
      return entry
    })
  }

  bytes(): Uint8Array {
    const value = this.#take()
    if (value instanceof Uint8Array) return value
    throw new BadMessage('no bytes')
  }

  end(): void {
    if (this.#next !== this.#values.length) throw new BadMessage('too many fields')
  }

  #take(): unknown {
    if (this.#next >= this.#values.length) throw new BadMessage('too few fields')
    this.#next += 1
    return this.#values[this.#next - 1]
  }
}

function entryOf(fields: Fields): LogEntry {
  const entry = {
    epoch: fields.number(),
    sequence: fields.number(),
    prevEpoch: fields.number(),
    committed: fields.number(),
    batch: ownBytes(fields.bytes()),
  }
  fields.end()
  return entry
}

/** An entry is kept for long: one that is a small part of what came with it does not keep all of that. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return 2 * bytes.length < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes
}
