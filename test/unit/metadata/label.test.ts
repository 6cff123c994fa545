// What shard headers say beside the key: enough to make a row again, also one of encrypted bytes.
import fc from 'fast-check'
import t from 'tap'
import type { Uid } from '../../../src/kit/uid.ts'
import {
  decodeLabel,
  encodeLabel,
  type LabelRole,
  labelAnew,
  sealLabel,
} from '../../../src/metadata/label.ts'
import type { Checksum } from '../../../src/metadata/records.ts'

const ATTRIBUTES = {
  headers: { contentType: 'text/plain' },
  userMetadata: { colour: 'blue' },
  storageClass: 'STANDARD',
}
const ENCRYPTION = { kind: 'SSE-S3', wrappedKey: Buffer.from('wrapped') } as const
const UID = '0123456789abcdef0123456789abcdef' as Uid
const ETAG = 'd41d8cd98f00b204e9800998ecf8427e'
const ROLES: LabelRole[] = [
  { kind: 'object', versioned: true },
  { kind: 'object', versioned: false },
  { kind: 'part', uploadId: UID, checksumAlgorithm: 'CRC32', checksumType: 'COMPOSITE' },
  { kind: 'part', uploadId: UID },
  { kind: 'append', offset: 5_000_000_000, after: `${ETAG}-7` },
  { kind: 'annotation', name: 'note', of: UID },
  { kind: 'annotation', name: 'note' },
]

t.test('every role, before and after its facts are known', async (t) => {
  const checksum: Checksum = { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value: 'AAECAwQFBgc=' }
  for (const role of ROLES) {
    const bytes = encodeLabel({ role, attributes: ATTRIBUTES, encryption: ENCRYPTION })
    t.same(decodeLabel(bytes), { role, attributes: ATTRIBUTES, encryption: ENCRYPTION })
    const sealed = sealLabel(bytes, { etag: ETAG, checksum })
    t.equal(sealed.length, bytes.length, 'a header does not grow')
    t.same(decodeLabel(sealed)?.facts, { etag: ETAG, checksum })
  }
})

t.test('bytes that are written anew say what they said, and their first uid', async (t) => {
  const checksum: Checksum = { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value: 'AAECAwQFBgc=' }
  for (const role of ROLES) {
    const bytes = encodeLabel({ role, attributes: ATTRIBUTES, encryption: ENCRYPTION })
    const sealed = sealLabel(bytes, { etag: ETAG, checksum })
    const anew = labelAnew(sealed, UID)
    t.same(decodeLabel(anew), { ...decodeLabel(sealed), origin: UID })
    t.same(labelAnew(anew, UID), anew)
  }
  t.same(decodeLabel(labelAnew(encodeLabel({ role: ROLES[0]! }), UID)), {
    role: ROLES[0]!,
    origin: UID,
  })
  const unknown = Buffer.alloc(80, 3)
  t.equal(labelAnew(unknown, UID), unknown, 'what nobody knows stays')
})

t.test('what has no room', async (t) => {
  const large = { ...ATTRIBUTES, userMetadata: { a: 'x'.repeat(60_000) } }
  const role = ROLES[0]!
  const label = decodeLabel(encodeLabel({ role, attributes: large, encryption: ENCRYPTION }))
  t.same(label, { role, encryption: ENCRYPTION }, 'the key stays, attributes go')
  const value = Buffer.alloc(64, 7).toString('base64')
  const checksum: Checksum = { algorithm: 'SHA512', type: 'FULL_OBJECT', value }
  const sealed = sealLabel(encodeLabel({ role }), { etag: ETAG, checksum })
  t.same(decodeLabel(sealed)?.facts, { etag: ETAG }, 'a checksum of 64 bytes goes')
})

t.test('bytes that are no label', async (t) => {
  t.equal(decodeLabel(new Uint8Array()), undefined)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const label = decodeLabel(bytes)
      return label === undefined || label.role !== undefined
    }),
  )
})
