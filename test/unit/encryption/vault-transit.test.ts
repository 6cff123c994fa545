// Keys of a transit engine, over HTTP against a server that speaks as Vault does; and the moment that keys are remembered.
import t, { type Test } from 'tap'
import { cacheKeys } from '../../../src/encryption/cached-keys.ts'
import { chainKeys } from '../../../src/encryption/key-chain.ts'
import { type KeyProvider, WrappedBy } from '../../../src/encryption/key-provider.ts'
import { LocalKeys } from '../../../src/encryption/local-keys.ts'
import { SharedKeys } from '../../../src/encryption/shared-keys.ts'
import { VaultTransit } from '../../../src/encryption/vault-transit.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { startVault } from '../../support/fake-vault.ts'

const world = realWorld()

async function open(t: Test, other: { token?: string; address?: string } = {}) {
  const vault = await startVault()
  t.teardown(() => vault.close())
  const options = { address: other.address ?? vault.address, mount: 'transit', keyId: 'kintsugi' }
  const token = async (): Promise<string> => other.token ?? vault.token
  return { vault, keys: new VaultTransit(options, { http: world.http, token }) }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

async function make(keys: KeyProvider, request = {}) {
  const made = await keys.newDataKey(request)
  if (made.kind !== 'made') throw new Error(made.kind)
  return made
}

t.test('a data key is made and comes back', async (t) => {
  const { vault, keys } = await open(t)
  const made = await make(keys)
  t.equal(made.keyId, 'kintsugi')
  t.equal(made.dataKey.length, 32)
  t.equal(hex(await keys.unwrap(made.wrappedKey, {})), hex(made.dataKey))
  const named = await make(keys, { keyId: 'photos', context: 'e30=' })
  t.equal(hex(await keys.unwrap(named.wrappedKey, { context: 'e30=' })), hex(named.dataKey))
  t.not(hex(await keys.unwrap(named.wrappedKey, {})), hex(named.dataKey), 'the context counts')
  t.same(vault.asked, [
    'datakey/plaintext/kintsugi',
    'decrypt/kintsugi',
    'datakey/plaintext/photos',
    'decrypt/photos',
    'decrypt/photos',
  ])
})

t.test('after a rotation in Vault old keys still open', async (t) => {
  const { vault, keys } = await open(t)
  const before = await make(keys)
  vault.rotate('kintsugi')
  const after = await make(keys)
  t.not(hex(after.wrappedKey), hex(before.wrappedKey))
  t.equal(hex(await keys.unwrap(before.wrappedKey, {})), hex(before.dataKey))
})

t.test('keys that do not exist', async (t) => {
  const { vault, keys } = await open(t)
  for (const keyId of ['nobody', '../sys/seal', 'a/b', '', '.']) {
    t.same(await keys.newDataKey({ keyId }), { kind: 'no-such-key', keyId }, keyId)
  }
  t.same(vault.asked, ['datakey/plaintext/nobody'], 'no name leaves the path')
})

t.test('trouble is told without keys and tokens', async (t) => {
  const unavailable = { code: 'KEY_PROVIDER_UNAVAILABLE' }
  const { keys } = await open(t, { token: 'wrong-token' })
  const refused = await keys.newDataKey({}).catch((error: unknown) => error)
  t.match(refused, unavailable, 'the token is wrong')
  t.notMatch(String(refused), /wrong-token/)
  const { vault, keys: well } = await open(t)
  const { wrappedKey } = await make(well)
  for (const answer of [
    { status: 503, text: 'sealed' },
    { status: 200, text: 'no json' },
    { status: 200, text: '{"data":{}}' },
    { status: 200, text: '{"data":{"plaintext":"c2hvcnQ="}}' },
    { status: 200, text: `{"data":"${'x'.repeat(100_000)}"}` },
    { status: 307, text: '' },
  ]) {
    vault.nextAnswer = answer
    await t.rejects(well.unwrap(wrappedKey, {}), unavailable, JSON.stringify(answer).slice(0, 40))
  }
  await vault.close()
  await t.rejects(well.unwrap(wrappedKey, {}), unavailable, 'nobody is there')
})

t.test('a store that changes its provider still reads what the other wrapped', async (t) => {
  const { keys: vault } = await open(t)
  const local = new LocalKeys([{ id: 'one', key: Buffer.alloc(32, 1) }], world)
  const before = await make(local)
  const vaultLink = { wrappedBy: [WrappedBy.Vault], provider: vault }
  const chain = chainKeys([vaultLink, { wrappedBy: [WrappedBy.Local], provider: local }])
  const after = await make(chain)
  t.equal(after.wrappedKey[0], WrappedBy.Vault)
  t.equal(hex(await chain.unwrap(before.wrappedKey, {})), hex(before.dataKey))
  t.equal(hex(await chain.unwrap(after.wrappedKey, {})), hex(after.dataKey))
  const alone = chainKeys([vaultLink])
  await t.rejects(alone.unwrap(before.wrappedKey, {}), { code: 'KEY_PROVIDER_UNAVAILABLE' })
})

t.test('objects of a bucket may share a key for a minute', async (t) => {
  const { vault, keys } = await open(t)
  let nowMs = 0
  const clock = { monotonicMs: () => nowMs }
  const sharing = new SharedKeys(cacheKeys(keys, { clock }), { clock, random: world.random })
  const request = { keyId: 'photos', shared: 'bucket 1' }
  const all = await Promise.all(
    [1, 2, 3].map((n) => make(sharing, { ...request, context: `${n}` })),
  )
  t.same(vault.asked, ['datakey/plaintext/photos'], 'asked once')
  t.equal(new Set(all.map(({ dataKey }) => hex(dataKey))).size, 3, 'each has its own key')
  for (const [index, { wrappedKey, dataKey }] of all.entries()) {
    t.equal(hex(await sharing.unwrap(wrappedKey, { context: `${index + 1}` })), hex(dataKey))
  }
  t.same(vault.asked.slice(1), ['decrypt/photos'], 'and once to read them')
  const { wrappedKey } = all[0]!
  await t.rejects(sharing.unwrap(wrappedKey, { context: '2' }), { code: 'WRONG_KEY' })
  await t.rejects(sharing.unwrap(wrappedKey.subarray(0, 50), {}), { code: 'WRONG_KEY' })
  const other = await make(sharing, { ...request, shared: 'bucket 2' })
  t.equal(other.keyId, 'photos')
  t.equal(vault.asked.length, 3, 'another bucket has another')
  nowMs = 60_001
  await make(sharing, request)
  t.equal(vault.asked.length, 4, 'and after a minute it is made anew')
  const alone = await make(sharing, { keyId: 'photos' })
  t.equal(alone.wrappedKey[0], WrappedBy.Vault, 'who does not share has a key of the provider')
  t.equal(hex(await sharing.unwrap(alone.wrappedKey, {})), hex(alone.dataKey))
  const nobody = { keyId: 'nobody', shared: 'bucket 1' }
  for (const _ of [1, 2]) {
    t.same(await sharing.newDataKey(nobody), { kind: 'no-such-key', keyId: 'nobody' })
  }
})

t.test('an unwrapped key is remembered for a minute, trouble is not', async (t) => {
  const { vault, keys } = await open(t)
  let nowMs = 0
  const cached = cacheKeys(keys, { clock: { monotonicMs: () => nowMs } })
  const made = await make(cached, { context: 'a' })
  const read = (context: string) => cached.unwrap(made.wrappedKey, { context })
  vault.nextAnswer = { status: 500, text: '' }
  await t.rejects(read('a'))
  vault.asked.length = 0
  const [one, two] = await Promise.all([read('a'), read('a')])
  for (const key of [one, two, await read('a')]) t.equal(hex(key), hex(made.dataKey))
  t.equal(vault.asked.length, 1, 'asked once')
  await read('b')
  t.equal(vault.asked.length, 2, 'another context is another key')
  nowMs = 60_001
  await read('a')
  t.equal(vault.asked.length, 3, 'asked again after a minute')
})
