// Whose keys a store uses: its own, made once; those of a file, which others should not read; those of Vault.
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openKeyProvider } from '../../../src/embedded/encryption-keys.ts'
import { addKey } from '../../../src/encryption/key-file.ts'
import type { KeyProvider } from '../../../src/encryption/key-provider.ts'
import { ClosingStack } from '../../../src/kit/closing-stack.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { startVault } from '../../support/fake-vault.ts'
import { openMemoryStore } from '../objects/memory-store.ts'

const world = realWorld()

async function openParts(t: Test) {
  const { coordinator } = await openMemoryStore(1)
  const opened = new ClosingStack()
  t.teardown(() => opened.close())
  const warnings: string[] = []
  const log = { ...silentLog, warn: (_data: object, text: string) => warnings.push(text) }
  return { coordinator, world, log, opened, warnings }
}

async function make(keys: KeyProvider) {
  const made = await keys.newDataKey({})
  if (made.kind !== 'made') throw new Error(made.kind)
  return made
}

/** Whether the provider opens what was made. */
async function opens(keys: KeyProvider, made: Awaited<ReturnType<typeof make>>): Promise<boolean> {
  const dataKey = await keys.unwrap(made.wrappedKey, {})
  return Buffer.compare(dataKey, made.dataKey) === 0
}

t.test('the store makes a key once', async (t) => {
  const parts = await openParts(t)
  const made = await make(await openKeyProvider({}, parts))
  const [own] = parts.coordinator.state.wrappingKeys!
  t.match(own, { id: /^store-[0-9a-f]{8}$/ })
  t.equal(Buffer.from(own!.key, 'base64').length, 32)
  t.ok(await opens(await openKeyProvider({}, parts), made), 'another start has the same')
  t.same(parts.coordinator.state.wrappingKeys, [own])
})

t.test('a file is used instead, and said to be open to others', async (t) => {
  const parts = await openParts(t)
  const before = await make(await openKeyProvider({}, parts))
  const path = join(t.testdir(), 'keys')
  await addKey(path, world)
  const keys = await openKeyProvider({ encryptionKeyFile: path }, parts)
  t.ok(await opens(keys, before), 'what the store wrapped stays readable')
  const after = await make(keys)
  await t.rejects((await openKeyProvider({}, parts)).unwrap(after.wrappedKey, {}))
  t.same(parts.warnings, [])
  await chmod(path, 0o644)
  await openKeyProvider({ encryptionKeyFile: path }, parts)
  t.match(parts.warnings, [/others than its owner/])
  await t.rejects(openKeyProvider({ encryptionKeyFile: `${path}-none` }, parts), /can not be used/)
})

t.test('with a provider from the first start the store makes no key', async (t) => {
  const parts = await openParts(t)
  const vault = await startVault()
  t.teardown(() => vault.close())
  const path = join(t.testdir({ token: `${vault.token}\n` }), 'token')
  const { address } = vault
  const options = {
    address,
    mount: 'transit',
    key: 'kintsugi',
    token: { kind: 'file', path },
  } as const
  const keys = await openKeyProvider({ vault: options }, parts)
  t.ok(await opens(keys, await make(keys)), 'the token is read from its file')
  t.equal(parts.coordinator.state.wrappingKeys, undefined)
})
