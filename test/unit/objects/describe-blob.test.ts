// What shard headers say beside the key: enough to make a row again, also one of encrypted bytes.
import { decode } from 'cbor-x'
import t from 'tap'
import { encodeAttributes } from '../../../src/objects/describe-blob.ts'

const ATTRIBUTES = { headers: {}, userMetadata: { a: 'b' }, storageClass: 'STANDARD' }
const ENCRYPTION = { kind: 'SSE-S3', wrappedKey: Buffer.from('wrapped') } as const

t.test('attributes and encryption', async (t) => {
  t.same(decode(encodeAttributes(ATTRIBUTES, undefined)), ATTRIBUTES)
  const both = decode(encodeAttributes(ATTRIBUTES, ENCRYPTION))
  t.match(both, { ...ATTRIBUTES, encryption: { kind: 'SSE-S3' } })
  t.equal(Buffer.from(both.encryption.wrappedKey).toString(), 'wrapped')
  t.match(decode(encodeAttributes(undefined, ENCRYPTION)), { encryption: { kind: 'SSE-S3' } })
  t.equal(encodeAttributes(undefined, undefined).length, 0)
  const large = { ...ATTRIBUTES, userMetadata: { a: 'x'.repeat(60_000) } }
  t.equal(encodeAttributes(large, undefined).length, 0, 'what has no room is left out')
  const kept = decode(encodeAttributes(large, ENCRYPTION))
  t.same(Object.keys(kept), ['encryption'], 'but not the key')
})
