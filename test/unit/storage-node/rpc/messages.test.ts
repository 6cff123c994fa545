// Messages between nodes as bytes and back; bytes that are none are refused in one way.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { DriveUnavailable } from '../../../../src/kit/drive-unavailable.ts'
import { MatrixId } from '../../../../src/kit/erasure-code.ts'
import { Overloaded } from '../../../../src/kit/semaphore.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { ShardDescription } from '../../../../src/storage-node/contract.ts'
import {
  decodeAnswer,
  decodeFailure,
  decodeMessage,
  encodeDone,
  encodeFailed,
  encodeFailure,
  encodeMessage,
} from '../../../../src/storage-node/rpc/messages.ts'
import * as shards from '../../../../src/storage-node/rpc/shard-messages.ts'
import { BadMessage, NodeFailed, NodeRefused } from '../../../../src/storage-node/rpc/trouble.ts'

const u8 = fc.integer({ min: 0, max: 0xff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u53 = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 200 })
const hex = fc.uint8Array({ minLength: 16, maxLength: 16 })
const uid = hex.map((raw) => Buffer.from(raw).toString('hex') as Uid)
const id = fc.record({ uid, part: u16, slot: u8 })
const description: fc.Arbitrary<ShardDescription> = fc.record({
  id,
  code: fc.record({
    dataCount: fc.integer({ min: 1, max: 20 }),
    parityCount: fc.integer({ min: 0, max: 8 }),
    matrix: fc.constant(MatrixId.CentredVandermonde),
  }),
  cellBytes: fc.integer({ min: 1, max: 128 * 1024 }),
  shardBytes: fc.integer({ min: 0, max: 300 }),
  blobBytes: u53,
  partition: u32,
  mapEpoch: u53,
  bucketId: u53,
  key: fc.string({ unit: 'grapheme', maxLength: 50 }),
  metadata: bytes,
})
const begin = fc.record({
  driveId: u32,
  use: fc.constantFrom('data' as const, 'move' as const),
  description,
})
const reader = fc.record({ driveId: u32, id, reader: u53 })

/** Holds that decode(encode(value)) is value, and that no shorter bytes are taken for a message. */
function comesBack<Value>(
  values: fc.Arbitrary<Value>,
  encode: (value: Value) => Uint8Array,
  decode: (bytes: Uint8Array) => Value,
  options: { hasRest?: boolean } = {},
): void {
  fc.assert(
    fc.property(values, fc.nat(), (value, cut) => {
      const encoded = encode(value)
      if (!isDeepStrictEqual(plain(decode(encoded)), plain(value))) return false
      if (options.hasRest) return true
      const short = encoded.subarray(0, cut % encoded.length)
      const long = Buffer.concat([encoded, Buffer.alloc(1)])
      return isRefused(() => decode(short)) && isRefused(() => decode(long))
    }),
    { seed: 3, numRuns: 50 },
  )
}

function isRefused(decode: () => unknown): boolean {
  try {
    decode()
    return false
  } catch (error) {
    return error instanceof BadMessage
  }
}

/** Buffers and other views of the same bytes are the same. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, part) =>
      part?.type === 'Buffer'
        ? { bytes: [...part.data] }
        : part instanceof Uint8Array
          ? { bytes: [...part] }
          : part,
    ),
  )
}

t.test('requests and answers', async () => {
  const message = fc.record({ id: u32, type: u16, deadlineMs: u53, body: bytes })
  comesBack(message, encodeMessage, decodeMessage, { hasRest: true })
  const answer = fc.record({ kind: fc.constant('done' as const), id: u32, body: bytes })
  const encode = (value: { id: number; body: Uint8Array }): Uint8Array =>
    Buffer.concat([encodeDone(value.id), value.body])
  comesBack(answer, encode, decodeAnswer as (bytes: Uint8Array) => never, { hasRest: true })
})

t.test('requests about shards', async () => {
  comesBack(begin, shards.encodeBegin, shards.decodeBegin)
  comesBack(fc.record({ driveId: u32, id }), shards.encodeShard, shards.decodeShard)
  comesBack(reader, shards.encodeReader, shards.decodeReader)
  const cell = fc.record({ driveId: u32, id, reader: u53, index: u32 })
  comesBack(cell, shards.encodeCell, shards.decodeCell)
  const put = begin.map((request) => ({
    ...request,
    bytes: new Uint8Array(request.description.shardBytes).fill(7),
  }))
  comesBack(put, shards.encodePut, shards.decodePut)
})

t.test('what became of them', async (t) => {
  const outcome = fc.oneof(
    fc.constant({ kind: 'found' as const }),
    fc.constant({ kind: 'missing' as const }),
    fc.record({ kind: fc.constant('corrupt' as const), detail: fc.string() }),
  )
  comesBack(outcome, shards.encodeOpened, shards.decodeOpened)
  const described = fc.oneof(
    fc.record({ kind: fc.constant('found' as const), description }),
    fc.record({ kind: fc.constant('corrupt' as const), detail: fc.string() }),
  )
  comesBack(described, shards.encodeDescribed, shards.decodeDescribed)

  const source = Buffer.from('a cell of bytes')
  const read = Buffer.concat(shards.encodeCellRead({ kind: 'found', bytes: 6 }, source))
  const target = Buffer.alloc(20)
  t.same(shards.decodeCellRead(read, target), { kind: 'found', bytes: 6 })
  t.equal(target.toString('latin1', 0, 6), 'a cell')
  t.throws(() => shards.decodeCellRead(read, Buffer.alloc(5)), { code: 'BAD_MESSAGE' })
  t.equal(
    shards.decodeCellRead(Buffer.concat(shards.encodeCellRead({ kind: 'missing' }, target)), target)
      .kind,
    'missing',
  )
})

t.test('errors keep their types', async (t) => {
  const back = (error: unknown): Error => decodeFailure(encodeFailure(error))
  for (const trouble of ['failed', 'full', 'unknown'] as const) {
    const cause = new Error('EIO')
    const error = back(new DriveUnavailable(9, trouble, { cause }))
    t.match(error, { name: 'DriveUnavailable', driveId: 9, trouble, cause: 'Error: EIO' })
  }
  t.ok(back(new Overloaded('too many')) instanceof Overloaded)
  const failed = decodeAnswer(encodeFailed(7, new Overloaded('too many')))
  t.match(failed, { kind: 'failed', id: 7, failure: { name: 'Overloaded' } })
  for (const reason of ['closing', 'late', 'unknown-request'] as const) {
    t.match(back(new NodeRefused('no', reason)), { name: 'NodeRefused', reason })
  }
  t.match(back(new BadMessage('what?')), { name: 'NodeRefused', reason: 'unknown-request' })
  const other = back(new Error('a secret in a path'))
  t.ok(other instanceof NodeFailed)
  t.notMatch(other.message, 'secret', 'what has no type is not told')
  const later = decodeFailure(Buffer.from([200, 2, 0, 0, 0, 0x68, 0x69]))
  t.ok(later instanceof NodeFailed, 'a failure of a later version')
})

t.test('descriptions that no shard can have are refused, not asserted', async (t) => {
  const good = fc.sample(begin, { seed: 5, numRuns: 1 })[0]!
  const wrong: Partial<ShardDescription>[] = [
    { cellBytes: 0 },
    { cellBytes: 128 * 1024 + 1 },
    { metadata: new Uint8Array(64 * 1024) },
    { code: { ...good.description.code, dataCount: 0 } },
    { code: { ...good.description.code, dataCount: 200, parityCount: 56 } },
  ]
  for (const change of wrong) {
    const bytes = shards.encodeBegin({ ...good, description: { ...good.description, ...change } })
    t.throws(() => shards.decodeBegin(bytes), { code: 'BAD_MESSAGE' })
  }
})

t.test('any bytes at all are a message or are refused', async () => {
  const decoders = [
    decodeAnswer,
    decodeFailure,
    decodeMessage,
    shards.decodeBegin,
    shards.decodeCell,
    shards.decodeDescribed,
    shards.decodeOpened,
    shards.decodePut,
    shards.decodeReader,
    shards.decodeShard,
  ]
  fc.assert(
    fc.property(fc.constantFrom(...decoders), fc.uint8Array({ maxLength: 300 }), (decode, any) => {
      try {
        decode(any)
        return true
      } catch (error) {
        return error instanceof BadMessage
      }
    }),
    { seed: 4, numRuns: 2000 },
  )
})
