// What a node is asked by `kintsugi cluster recover`, as bytes and back. Layout: docs/formats/node-protocol.md.
import { BEGINNING } from '../../metadata/log/entry.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import type { ShardDescription } from '../contract.ts'
import type { LeftLogPage, ReplicaStanding, RowsPage } from '../replicated/contract.ts'
import { decodePage, encodePage } from '../replicated/replica-messages.ts'
import { FieldReader, FieldWriter, readMany } from '../rpc/fields.ts'
import { readReplica } from '../rpc/replica-field.ts'
import { decodeDescribed, encodeDescribed } from '../rpc/shard-messages.ts'
import { BadMessage } from '../rpc/trouble.ts'

/** A shard of which header and tail are whole. */
export interface WholeShard {
  driveId: number
  description: ShardDescription
}

/** `reading` and `making` are numbers that the asker draws by chance; pages are asked for, and given, in order. */
export type RecoveryRequest =
  /** Answered by how it is with each of these replicas. */
  | { kind: 'standings'; partition: number; replicas: readonly ReplicaId[] }
  /** Nobody leads the partition in this epoch. Answered as `standings`, once that holds for all replicas of it there. */
  | { kind: 'fence'; partition: number; epoch: number; replicas: readonly ReplicaId[] }
  /** Answered by the ids of the drives whose shards can be read. */
  | { kind: 'drives' }
  /** Answered by the times at which the dumps of a partition were taken that are here. */
  | { kind: 'dumps'; partition: number }
  /** Answered by a page of rows of a dump, or by the end. */
  | { kind: 'dump-page'; reading: number; index: number; partition: number; takenMs: number }
  /** Answered by some shards of a partition, or by the end. */
  | { kind: 'shards-page'; reading: number; index: number; partition: number }
  /** Answered by a page of the rows of a replica, or by the end. */
  | { kind: 'replica-page'; reading: number; index: number; replica: ReplicaId; partition: number }
  /** Answered by a page of what is left of the log of a replica behind the sequence `after`, or by the end. */
  | ({ kind: 'log-page'; reading: number; index: number } & LogRequest)
  /** No more pages are wanted. */
  | { kind: 'end-reading'; reading: number }
  /** A page of rows for a new replica; without one they are all there, and the answer says that they are durable. */
  | ({ kind: 'install'; making: number; index: number; replica: ReplicaId } & InstallPage)
  /** A replica that was installed is not wanted: it is deleted, unless a decision names it. */
  | { kind: 'discard'; replica: ReplicaId }

/** Whose log is read. */
export interface LogRequest {
  replica: ReplicaId
  after: number
}

/** Some rows of a new replica of the partition; undefined behind the last of them. */
export interface InstallPage {
  partition: number
  page: RowsPage | undefined
}

// Numbers are never reused: 7 was a page of rows and log together.
const KINDS = {
  ...{ standings: 1, dumps: 2, 'dump-page': 3, 'shards-page': 4, 'end-reading': 5, install: 6 },
  ...{ discard: 8, fence: 9, drives: 10, 'log-page': 11, 'replica-page': 12 },
} as const
const STANDINGS = ['lives', 'damaged', 'gone', 'closed', 'suspect'] as const

const REPLICAS_MAX = 64
const DRIVES_MAX = 4096
const DUMPS_MAX = 1024
const SHARDS_MAX = 4096
const ENTRIES_MAX = 4096

/** The bytes of a request. */
export function encodeRecovery(request: RecoveryRequest): Buffer {
  const fields = new FieldWriter().u8(KINDS[request.kind])
  switch (request.kind) {
    case 'standings':
      fields.u32(request.partition).u32(request.replicas.length)
      for (const replica of request.replicas) fields.text(replica)
      break
    case 'fence':
      fields.u32(request.partition).u64(request.epoch).u32(request.replicas.length)
      for (const replica of request.replicas) fields.text(replica)
      break
    case 'drives':
      break
    case 'dumps':
      fields.u32(request.partition)
      break
    case 'dump-page':
      fields.u64(request.reading).u32(request.index).u32(request.partition).u64(request.takenMs)
      break
    case 'shards-page':
      fields.u64(request.reading).u32(request.index).u32(request.partition)
      break
    case 'replica-page':
      fields.u64(request.reading).u32(request.index).text(request.replica).u32(request.partition)
      break
    case 'log-page':
      fields.u64(request.reading).u32(request.index).text(request.replica).u64(request.after)
      break
    case 'end-reading':
      fields.u64(request.reading)
      break
    case 'install':
      fields.u64(request.making).u32(request.index).text(request.replica).u32(request.partition)
      fields.raw(encodePage(request.page))
      break
    case 'discard':
      fields.text(request.replica)
      break
  }
  return fields.end()
}

/** The request in the bytes. Throws BadMessage. */
export function decodeRecovery(bytes: Uint8Array): RecoveryRequest {
  const fields = new FieldReader(bytes)
  const request = readRequest(fields.u8(), fields)
  fields.end()
  return request
}

function readRequest(kind: number, fields: FieldReader): RecoveryRequest {
  switch (kind) {
    case KINDS.standings: {
      const partition = fields.u32()
      return { kind: 'standings', partition, replicas: readMany(fields, REPLICAS_MAX, readReplica) }
    }
    case KINDS.fence: {
      const [partition, epoch] = [fields.u32(), fields.u64()]
      return {
        kind: 'fence',
        partition,
        epoch,
        replicas: readMany(fields, REPLICAS_MAX, readReplica),
      }
    }
    case KINDS.drives:
      return { kind: 'drives' }
    case KINDS.dumps:
      return { kind: 'dumps', partition: fields.u32() }
    case KINDS['dump-page']: {
      const [reading, index, partition] = [fields.u64(), fields.u32(), fields.u32()]
      return { kind: 'dump-page', reading, index, partition, takenMs: fields.u64() }
    }
    case KINDS['shards-page']: {
      const [reading, index] = [fields.u64(), fields.u32()]
      return { kind: 'shards-page', reading, index, partition: fields.u32() }
    }
    case KINDS['replica-page']: {
      const [reading, index] = [fields.u64(), fields.u32()]
      const replica = readReplica(fields)
      return { kind: 'replica-page', reading, index, replica, partition: fields.u32() }
    }
    case KINDS['log-page']: {
      const [reading, index] = [fields.u64(), fields.u32()]
      const replica = readReplica(fields)
      return { kind: 'log-page', reading, index, replica, after: fields.u64() }
    }
    case KINDS['end-reading']:
      return { kind: 'end-reading', reading: fields.u64() }
    case KINDS.install: {
      const [making, index] = [fields.u64(), fields.u32()]
      const [replica, partition] = [readReplica(fields), fields.u32()]
      return { kind: 'install', making, index, replica, partition, page: decodePage(fields.rest()) }
    }
    case KINDS.discard:
      return { kind: 'discard', replica: readReplica(fields) }
    default:
      throw new BadMessage('a recovery asks for something that is not known')
  }
}

/** How it is with replicas, in the order in which they were asked for. */
export function encodeStandings(standings: readonly ReplicaStanding[]): Buffer {
  const fields = new FieldWriter().u32(standings.length)
  for (const standing of standings) {
    fields.u8(STANDINGS.indexOf(standing.kind))
    const { epoch, sequence } = standing.kind === 'lives' ? standing.end : BEGINNING
    fields.u64(epoch).u64(sequence)
  }
  return fields.end()
}

/** What a node answers to `standings` and `fence`. Throws BadMessage, also for a standing that this version does not know. */
export function decodeStandings(bytes: Uint8Array): ReplicaStanding[] {
  return whole(bytes, (fields) =>
    readMany(fields, REPLICAS_MAX, (): ReplicaStanding => {
      const kind = STANDINGS[fields.u8()]
      if (kind === undefined) throw new BadMessage('a replica stands as nobody knows')
      const end = { epoch: fields.u64(), sequence: fields.u64() }
      return kind === 'lives' ? { kind, end } : { kind }
    }),
  )
}

/** Ids of drives. */
export function encodeIds(ids: readonly number[]): Buffer {
  const fields = new FieldWriter().u32(ids.length)
  for (const id of ids) fields.u32(id)
  return fields.end()
}

/** What a node answers to `drives`. Throws BadMessage. */
export function decodeIds(bytes: Uint8Array): number[] {
  return whole(bytes, (fields) => readMany(fields, DRIVES_MAX, () => fields.u32()))
}

/** When dumps were taken. */
export function encodeTimes(timesMs: readonly number[]): Buffer {
  const fields = new FieldWriter().u32(timesMs.length)
  for (const timeMs of timesMs) fields.u64(timeMs)
  return fields.end()
}

/** What a node answers to `dumps`, in milliseconds since 1970. Throws BadMessage. */
export function decodeTimes(bytes: Uint8Array): number[] {
  return whole(bytes, (fields) => readMany(fields, DUMPS_MAX, () => fields.u64()))
}

/** Some entries, or the end. */
export function encodeLogPage(page: LeftLogPage | undefined): Buffer {
  const fields = new FieldWriter().u8(page === undefined ? 0 : 1)
  if (page === undefined) return fields.end()
  fields.u8(page.isWhole ? 1 : 0).u32(page.entries.length)
  for (const { epoch, sequence, prevEpoch, committed, batch } of page.entries)
    fields.u64(epoch).u64(sequence).u64(prevEpoch).u64(committed).bytes(batch)
  return fields.end()
}

/** What a node answers to `log-page`; undefined is the end. Batches are the memory of `bytes`. Throws BadMessage. */
export function decodeLogPage(bytes: Uint8Array): LeftLogPage | undefined {
  return whole(bytes, (fields) => {
    if (fields.u8() === 0) return undefined
    const isWhole = fields.u8() === 1
    const entries = readMany(fields, ENTRIES_MAX, () => {
      const position = { epoch: fields.u64(), sequence: fields.u64() }
      return {
        ...{ ...position, prevEpoch: fields.u64(), committed: fields.u64() },
        batch: fields.bytes(),
      }
    })
    return { isWhole, entries }
  })
}

/** Some shards, or the end. */
export function encodeShards(shards: readonly WholeShard[] | undefined): Buffer {
  const fields = new FieldWriter().u8(shards === undefined ? 0 : 1)
  if (shards === undefined) return fields.end()
  fields.u32(shards.length)
  for (const { driveId, description } of shards)
    fields.u32(driveId).bytes(encodeDescribed({ kind: 'found', description }))
  return fields.end()
}

/** What a node answers to `shards-page`; undefined is the end, an empty page is not. Throws BadMessage. */
export function decodeShards(bytes: Uint8Array): WholeShard[] | undefined {
  return whole(bytes, (fields) => {
    if (fields.u8() === 0) return undefined
    return readMany(fields, SHARDS_MAX, () => {
      const driveId = fields.u32()
      const described = decodeDescribed(fields.bytes())
      if (described.kind !== 'found') throw new BadMessage('a shard that is there says what it is')
      return { driveId, description: described.description }
    })
  })
}

function whole<Value>(bytes: Uint8Array, read: (fields: FieldReader) => Value): Value {
  const fields = new FieldReader(bytes)
  const value = read(fields)
  fields.end()
  return value
}
