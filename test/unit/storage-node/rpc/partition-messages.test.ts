// Requests about partitions as bytes: the layout that is documented, names of all kinds, and bytes from anywhere.
import { Encoder } from 'cbor-x'
import fc from 'fast-check'
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { Command } from '../../../../src/metadata/contract.ts'
import {
  decodeCommit,
  decodeQuestion,
  decodeReply,
  encodeAnswered,
  encodeCommit,
  encodeQuestion,
  encodeReply,
  readAnswer,
  readAnswered,
} from '../../../../src/storage-node/rpc/partition-messages.ts'
import { BadMessage } from '../../../../src/storage-node/rpc/trouble.ts'

const commandId = '0000000000010000000000000000000a' as Uid
const bucket = { id: 7, revision: 2, versioning: 'unversioned' as const }
const command: Command = {
  ...{ kind: 'delete-object', commandId, bucket, key: 'k', conditions: { ifMatch: ['e'] } },
}

const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD', bytes: 0, etag: 'e' }

t.test('golden: a command, a question and a reply', async (t) => {
  const text = (value: string) => Buffer.from(value).toString('hex')
  t.equal(
    encodeCommit(5, { kind: 'forget-garbage', commandId, items: [] }).toString('hex'),
    `05000000a364${text('kind')}6e${text('forget-garbage')}69${text('commandId')}7820${text(commandId)}65${text('items')}80`,
  )
  t.equal(
    encodeQuestion(5, { name: 'getManifest', asked: [commandId] }).toString('hex'),
    `050000000b000000${text('getManifest')}817820${text(commandId)}`,
  )
  t.equal(encodeReply({ kind: 'elsewhere', primary: 'n1' }).toString('hex'), '01020000006e31')
  t.equal(encodeReply({ kind: 'unavailable', reason: '' }).toString('hex'), '0200000000')
  t.equal(encodeReply({ kind: 'search-too-long', reason: '' }).toString('hex'), '0300000000')
  t.equal(Buffer.concat(encodeAnswered(true)).toString('hex'), '00f5')
})

t.test('requests and replies come back as they were', async (t) => {
  t.strictSame(decodeCommit(encodeCommit(5, command)), { partition: 5, command })
  const question = { name: 'getObject' as const, asked: [bucket, 'k', undefined] as const }
  t.strictSame(decodeQuestion(encodeQuestion(6, question as never)), { partition: 6, question })
  for (const primary of ['n1', undefined]) {
    const reply = { kind: 'elsewhere' as const, primary }
    t.strictSame(decodeReply(encodeReply(reply)), reply)
  }
})

t.test('a deletion of many keys, and what became of them', async (t) => {
  const keys = [
    { key: 'a', conditions: {} },
    { key: 'b', versionId: 'null', conditions: { ifMatch: ['e'] } },
  ]
  const many: Command = { kind: 'delete-objects', commandId, bucket, keys, bypass: true }
  t.strictSame(decodeCommit(encodeCommit(5, many)).command, many)
  t.throws(() => decodeCommit(encodeCommit(5, { ...many, keys: [] })), BadMessage, 'of no keys')
  const versionId = '0'.repeat(26)
  const outcomes = [
    { kind: 'done' as const, removed: { versionId, deleteMarker: false } },
    { kind: 'condition-failed' as const, condition: 'If-Match' as const },
    { kind: 'done' as const, made: { versionId, deleteMarker: true as const, modifiedMs: 5 } },
  ]
  const cbor = new Encoder({ useRecords: false, tagUint8Array: false })
  const answer = { kind: 'done' as const, outcomes }
  t.strictSame(readAnswer('delete-objects', cbor.encode(answer)), answer)
  t.throws(() => readAnswer('delete-objects', cbor.encode({ kind: 'done', outcomes: [] })))
})

t.test('user metadata may have any name', async (t) => {
  const userMetadata = Object.fromEntries([
    ...[['__proto__', 'a'] as const, ['constructor', 'b'] as const],
    ...[['', 'c'] as const, ['size', 'd'] as const],
  ])
  const put: Command = {
    ...{ kind: 'put-object', commandId, bucket, key: '__proto__', conditions: {} },
    version: { ...attributes, userMetadata },
  }
  const { command } = decodeCommit(encodeCommit(0, put))
  const version = command.kind === 'put-object' ? command.version : undefined
  t.strictSame(Object.entries(version?.userMetadata ?? {}), Object.entries(userMetadata))
})

t.test('a request is understood whole or not at all; answers may say more', async (t) => {
  const cbor = new Encoder({ useRecords: false, tagUint8Array: false })
  const newer = cbor.encode({ ...command, unless: 'Monday' })
  const partition = Buffer.alloc(4)
  t.throws(() => decodeCommit(Buffer.concat([partition, newer])), BadMessage)
  const unknown = cbor.encode({ ...command, kind: 'shred-object' })
  t.throws(() => decodeCommit(Buffer.concat([partition, unknown])), BadMessage)
  t.strictSame(readAnswer('forget-garbage', cbor.encode({ kind: 'done', speed: 3 })), {
    kind: 'done',
  })
  t.throws(() => readAnswer('forget-garbage', cbor.encode({ kind: 'half-done' })), BadMessage)
})

t.test('what is more than the type has is not sent', async (t) => {
  const blob = {
    ...{ uid: commandId, part: 0, bytes: 1, code: { dataCount: 1, parityCount: 1, matrix: 1 } },
    ...{ cellBytes: 128, partition: 0, drives: [1, 2] },
  }
  const asked = [{ bucketId: 7, key: 'k' }, [blob]] as const
  const { question } = decodeQuestion(encodeQuestion(0, { name: 'findInOrder', asked } as never))
  t.strictSame(question.asked, [{ bucketId: 7, key: 'k' }, [{ uid: commandId, part: 0 }]])
})

t.test('a version is what it says, field by field', async (t) => {
  const good = { ...attributes, versionId: '0'.repeat(26), modifiedMs: 1 }
  const read = (version: unknown) => {
    const answer = Buffer.concat(encodeAnswered(version)).subarray(1)
    return readAnswered('getObject', answer)
  }
  t.strictSame(read(good), good)
  t.equal(read(undefined), undefined)
  t.equal(read('bucket-gone'), 'bucket-gone')
  const wrong = [
    ...[{ versionId: 'x' }, { modifiedMs: 'now' }, { bytes: -1 }, { bytes: 0.5 }, { etag: 1 }],
    ...[{ headers: [] }, { userMetadata: { a: 1 } }, { tags: {} }, { versioned: false }],
    ...[{ encryption: { kind: 'ROT13' } }, { blob: {} }, { checksum: { algorithm: 'NONE' } }],
  ]
  for (const fields of wrong) {
    t.throws(() => read({ ...good, ...fields }), BadMessage, JSON.stringify(fields))
  }
  t.throws(() => read(null), BadMessage)
  t.throws(() => read([]), BadMessage)
})

t.test('bytes from anywhere are a request or no message', async () => {
  const readers = [
    decodeCommit,
    decodeQuestion,
    decodeReply,
    (bytes: Uint8Array) => readAnswer('put-object', bytes),
    (bytes: Uint8Array) => readAnswered('scanVersions', bytes),
  ]
  const whole = [encodeCommit(5, command), encodeQuestion(5, { name: 'settle', asked: [] })]
  const changed = fc
    .tuple(fc.constantFrom(...whole), fc.nat(200), fc.nat(255))
    .map(([bytes, at, value]) => {
      const copy = Buffer.from(bytes)
      copy[at % copy.length] = value
      return copy
    })
  const arbitrary = fc.oneof(fc.uint8Array({ maxLength: 60 }), changed)
  fc.assert(
    fc.property(arbitrary, (bytes) => {
      for (const read of readers) {
        try {
          read(bytes)
        } catch (error) {
          if (!(error instanceof BadMessage)) throw error
        }
      }
    }),
    { seed: 20_261_122, numRuns: 2000 },
  )
})
