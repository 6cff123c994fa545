// Messages between replicas: every kind comes back as it was sent, and nothing else is taken for a message.
import { Encoder } from 'cbor-x'
import t from 'tap'
import type { ReplicaId } from '../../../../src/metadata/replication/decision.ts'
import {
  BadMessage,
  decodeMessage,
  encodeMessage,
  type Message,
} from '../../../../src/metadata/replication/message.ts'

const way = { partition: 3, from: '1-aa' as ReplicaId, to: '2-bb' as ReplicaId }
const epoch = 65_537
const previous = { epoch: 65_536, sequence: 4 }
const entries = [
  { epoch: 65_536, sequence: 5, prevEpoch: 65_536, committed: 3, batch: Buffer.from('one') },
  { epoch, sequence: 6, prevEpoch: 65_536, committed: 4, batch: Buffer.alloc(0) },
]

const MESSAGES: readonly Message[] = [
  { kind: 'append', epoch, previous, entries, committed: 4, steady: true },
  { kind: 'append', epoch, previous, entries: [], committed: 4, steady: false },
  { kind: 'appended', epoch, matched: 6 },
  { kind: 'behind', epoch, committed: previous },
  { kind: 'refused', epoch, promised: 2 ** 52 },
  { kind: 'fence', epoch },
  { kind: 'fenced', epoch, last: previous },
  { kind: 'fetch', epoch, after: previous },
  { kind: 'fetched', epoch, after: previous, entries },
  { kind: 'trimmed', epoch, base: previous },
  { kind: 'confirm', epoch, round: 9 },
  { kind: 'confirmed', epoch, round: 9 },
  { kind: 'install', epoch, base: previous },
  { kind: 'doubt', epoch: 1 },
  { kind: 'doubted', epoch: 1, misses: true, last: previous },
]

t.test('every message comes back', async (t) => {
  for (const message of MESSAGES) {
    t.same(decodeMessage(encodeMessage({ ...way, message })), { ...way, message }, message.kind)
  }
})

t.test('a message that is cut short is none', async (t) => {
  for (const message of MESSAGES) {
    const bytes = encodeMessage({ ...way, message })
    for (let length = 0; length < bytes.length; length += 1) {
      t.throws(() => decodeMessage(bytes.subarray(0, length)), BadMessage)
    }
  }
})

t.test('what is no message of this version is refused', async (t) => {
  const { encode } = new Encoder({ useRecords: false, tagUint8Array: false })
  const refused = {
    'another version': [2, 3, '1-aa', '2-bb', 5, epoch],
    'an unknown kind': [1, 3, '1-aa', '2-bb', 99, epoch],
    'too many fields': [1, 3, '1-aa', '2-bb', 5, epoch, 1],
    'too few fields': [1, 3, '1-aa', '2-bb', 5],
    'a negative number': [1, 3, '1-aa', '2-bb', 5, -1],
    'a broken number': [1, 3, '1-aa', '2-bb', 5, 1.5],
    'no replica': [1, 3, '', '2-bb', 5, epoch],
    'a long name': [1, 3, 'a'.repeat(65), '2-bb', 5, epoch],
    'no list': { kind: 'fence', epoch },
    'a gap': [1, 3, '1-aa', '2-bb', 8, epoch, [1, 4], [[epoch, 6, 1, 0, Buffer.alloc(0)]]],
    'another log': [1, 3, '1-aa', '2-bb', 8, epoch, [1, 4], [[epoch, 5, 2, 0, Buffer.alloc(0)]]],
  }
  for (const [name, fields] of Object.entries(refused)) {
    t.throws(() => decodeMessage(encode(fields)), { code: 'BAD_MESSAGE' }, name)
  }
})

t.test('a short batch does not keep the message with which it came', async (t) => {
  const large = { epoch: 1, sequence: 1, prevEpoch: 0, committed: 0, batch: Buffer.alloc(90_000) }
  const small = { ...large, sequence: 2, prevEpoch: 1, batch: Buffer.from('small') }
  const previous = { epoch: 0, sequence: 0 }
  const append = { kind: 'append', epoch: 1, previous, committed: 0, steady: true } as const
  const [from, to] = ['1-a', '2-b'] as ReplicaId[]
  const message = { ...append, entries: [large, small] }
  const bytes = Uint8Array.from(encodeMessage({ partition: 0, from: from!, to: to!, message }))
  const decoded = decodeMessage(bytes).message
  const batches = decoded.kind === 'append' ? decoded.entries.map(({ batch }) => batch) : []
  t.equal(batches[0]!.buffer, bytes.buffer, 'what is most of it is not copied')
  t.not(batches[1]!.buffer, bytes.buffer)
  t.same(batches[1], small.batch)
})
