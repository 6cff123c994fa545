// Keys of the process itself: what is wrapped comes back, only with the same key and context, and after a rotation too.
import t from 'tap'
import { unwrapForCustomer, wrapForCustomer } from '../../../src/encryption/customer-key.ts'
import type { MadeDataKey } from '../../../src/encryption/key-provider.ts'
import { DEFAULT_KEY_ID, LocalKeys } from '../../../src/encryption/local-keys.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { Seeded } from '../../support/seeded.ts'

const world = realWorld()
const OLD = { id: 'old', key: Buffer.alloc(32, 1) }
const NEW = { id: 'new', key: Buffer.alloc(32, 2) }

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

async function make(keys: LocalKeys, request = {}): Promise<MadeDataKey> {
  const made = await keys.newDataKey(request)
  if (made.kind !== 'made') throw new Error(made.kind)
  return made
}

t.test('a data key comes back from its wrapped form', async (t) => {
  const keys = new LocalKeys([OLD], world)
  for (const request of [
    {},
    { keyId: 'a' },
    { keyId: 'arn:aws:kms:us-east-1:1:key/x', context: 'c' },
  ]) {
    const made = await make(keys, request)
    t.equal(hex(await keys.unwrap(made.wrappedKey, request)), hex(made.dataKey))
    t.equal(made.dataKey.length, 32)
    t.equal(made.keyId, ('keyId' in request && request.keyId) || DEFAULT_KEY_ID)
    t.notOk(
      Buffer.from(made.wrappedKey).includes(Buffer.from(made.dataKey)),
      'it does not show the key',
    )
  }
  const [one, two] = [await make(keys), await make(keys)]
  t.not(hex(one.dataKey), hex(two.dataKey), 'every object has its own')
})

t.test('every bit of a wrapped key counts, and so does the context', async (t) => {
  const keys = new LocalKeys([OLD], world)
  const request = { keyId: 'photos', context: 'e30=' }
  const { wrappedKey } = await make(keys, request)
  for (let at = 1; at < wrappedKey.length; at += 1) {
    const bad = Buffer.from(wrappedKey)
    bad[at]! ^= 1
    await t.rejects(keys.unwrap(bad, request), `byte ${at}`)
  }
  await t.rejects(keys.unwrap(wrappedKey, {}), { code: 'WRONG_KEY' }, 'no context')
  await t.rejects(keys.unwrap(wrappedKey, { context: 'e31=' }), { code: 'WRONG_KEY' }, 'another')
  await t.rejects(keys.unwrap(wrappedKey.subarray(0, -1), request), { code: 'WRONG_KEY' }, 'cut')
  await t.rejects(keys.unwrap(new Uint8Array(0), request), 'nothing')
})

t.test('after a rotation the new key wraps and the old one still unwraps', async (t) => {
  const keys = new LocalKeys([OLD], world)
  const before = await make(keys)
  keys.replace([NEW, OLD])
  const after = await make(keys)
  t.equal(hex(await keys.unwrap(before.wrappedKey, {})), hex(before.dataKey))
  t.equal(hex(await keys.unwrap(after.wrappedKey, {})), hex(after.dataKey))
  const onlyOld = new LocalKeys([OLD], world)
  await t.rejects(onlyOld.unwrap(after.wrappedKey, {}), { code: 'KEY_PROVIDER_UNAVAILABLE' })
  const impostor = new LocalKeys([{ id: 'new', key: OLD.key }], world)
  await t.rejects(impostor.unwrap(after.wrappedKey, {}), { code: 'WRONG_KEY' })
})

t.test('names that are no key ids', async (t) => {
  const keys = new LocalKeys([OLD], world)
  for (const keyId of ['', 'a b', 'a\n', 'ключ', 'x'.repeat(201)]) {
    t.same(await keys.newDataKey({ keyId }), { kind: 'no-such-key', keyId })
  }
})

t.test('golden wrapped key', async (t) => {
  const seeded = new Seeded(1)
  const keys = new LocalKeys([OLD], { random: { bytes: (count) => seeded.bytes(count) } })
  const { wrappedKey, dataKey } = await make(keys, { keyId: 'photos', context: 'e30=' })
  t.equal(hex(wrappedKey), GOLDEN)
  t.equal(hex(await keys.unwrap(Buffer.from(GOLDEN, 'hex'), { context: 'e30=' })), hex(dataKey))
})

const GOLDEN =
  '01036f6c640670686f746f73257187777423d0adcb02609e37971c598a4bb8b4aef8e304f5af3605b195c4c93d69ca84c02240cd668f927cc7a15c2cf0f93460444007ae338496c69a73118ebfd2bf6c8694ca8827f66ae4781a181a'

t.test('a key of a client opens what it closed, and no other does', async (t) => {
  const [dataKey, key, other] = [
    world.random.bytes(32),
    world.random.bytes(32),
    world.random.bytes(32),
  ]
  const wrapped = wrapForCustomer(dataKey, key, world.random.bytes(32))
  t.equal(hex(unwrapForCustomer(wrapped, key)), hex(dataKey))
  t.throws(() => unwrapForCustomer(wrapped, other), { code: 'WRONG_KEY' })
  const bad = Buffer.from(wrapped)
  bad[40]! ^= 1
  t.throws(() => unwrapForCustomer(bad, key), { code: 'WRONG_KEY' })
})
